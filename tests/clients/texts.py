"""Texts that a careless encoder of a line protocol would let out of their field, and who may hold them.

A title, an artifact, a description and a message hold any text. A name (assignee, tag) is one printable
line without commas: the hub refuses the others, so only the rest of TEXTS is tried there.
"""

import unicodedata

TEXTS = {
    "CR": "one\rtwo\r",
    "LF": "one\ntwo\n\n",
    "CRLF": "one\r\ntwo\r\n\r\n",
    "NUL": "\0one\0two\0",
    "BOM": "\ufeffone\ufefftwo\ufeff",
    "line and paragraph separator": "\u2028one\u2028two\u2029three\u2029",
    "next line": "\u0085one\u0085",
    "other breaks of a line": "one\x0btwo\x0cthree\x1cfour\x1dfive\x1esix\x1f",
    "every control character": "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0)])) + "end",
    "a message of its own": 'x\n\nid: 00000000-9\nevent: reset\ndata: {"event":"reset"}\n\nretry: 99999999\n\n: x\n\n',
    "the same with CR": 'x\r\rid: 00000000-9\revent: reset\rdata: {"event":"reset"}\r\rretry: 99999999\r\r',
    "the end of its JSON": '"}},"event":"reset","id":"0"}\n{"id":"00000000-9","event":"reset","data":{}}\n',
    "escapes": '\\ \\\\ \\n \\u0000 \\ud800 %0A &#10; "quoted" \'quoted\' $(echo) `echo` %s {}',
    "beyond the BMP": "\U0001f469\u200d\U0001f4bb \U0001d54f \U0010ffff \uffff \ufffe \ufffd",
    "not normalised": "e\u0301 \u00e9 \ufb01 \u212b \u202e right to left",
    "white space around": " \t\u00a0\u3000one\u3000 \t",
}

LONE_SURROGATES = ["\\ud800", "\\udfff", "x\\udc00\\ud800x"]

BODY_BYTES = 1572864 - 32  # all that the hub takes in one request, less what stands around a text
DESCRIPTION_CHARS = 1 << 20
ARTIFACTS_CHARS = 64 << 10  # the same, for the largest text in an event
ARTIFACT_CHARS = 4096
TITLE_CHARS = 500


def is_name(text):
    return "," not in text and not any(unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in text)


NAMES = {about: text for about, text in TEXTS.items() if is_name(text)}


def megabyte():
    """A description of the largest size, with every text in it now and then."""
    part = "".join(TEXTS.values()) + "x" * 6000
    return (part * (DESCRIPTION_CHARS // len(part) + 1))[:DESCRIPTION_CHARS]


def largest_artifacts():
    """The largest event: NUL takes six bytes in JSON."""
    return [chr(ord("a") + n) + "\0" * (ARTIFACT_CHARS - 1) for n in range(ARTIFACTS_CHARS // ARTIFACT_CHARS)]


def largest_fields():
    """What one request can bring for each, in the most bytes: together the largest line of a snapshot."""
    description = "\U0001f4bb" * (BODY_BYTES // 4)
    script = "\x01" * (BODY_BYTES // 6)
    tags = [chr(ord("A") + n) + "\U0001f4bb" * 199 for n in range(50)]
    return [{"description": description}, {"script": script}, {"tags": tags, "artifacts": largest_artifacts()}]
