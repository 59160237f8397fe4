"""What schemathesis does differently here, and why: each exclusion is as narrow as its reason.

Some texts have a form that OpenAPI 3.0 cannot say and that their descriptions do; made-up ones would only ever be
refused, and what is behind them never be reached. They are replaced by good ones before they are sent, here in one
place, and tests of our own (tests/it, tests/fuzz) hold the hub to the forms.
"""

import itertools
import re
import uuid

import schemathesis

# Keys of this run, on a hub that has seen others.
RUN, KEYS = uuid.uuid4(), itertools.count()
SCRIPT_CHARS_MAX = 262_144
ENV_MAX = 100
ENV_VALUE_CHARS_MAX = 1_000
CWD_CHARS_MAX = 4_096
WAIT_SECONDS_MAX = 60

# A valid request that is refused all the same:
EXCUSED = {
    # a range beyond the end of a log, which is as long as it is;
    ("range_not_satisfiable", None),
    # two parameters that exclude each other, which a schema cannot say: a snapshot is of now, and needs changes of tasks.
    ("invalid_parameter", "since"),
    ("invalid_parameter", "events"),
    # a task that starts by itself without a script, and a key for a batch that is not done as one;
    ("invalid_field", "auto_start"),
    ("invalid_parameter", "Idempotency-Key"),
    # a project that there is not;
    ("invalid_field", "project"),
    # an answer, or one for the end of the time, that is none of the options.
    ("invalid_field", "answer"),
    ("invalid_field", "default"),
}
CURSOR = r"[0-9a-f]{8}-[0-9]{1,19}"
ID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


# Tasks that a run has deleted.
DELETED = set()


def has_empty_value(case):
    """Whether a list in the query has an empty value: `tag=` is an empty list, and a list of one empty text."""
    lists = {it["name"] for it in case.operation.definition.raw.get("parameters", []) if it.get("explode") is False}
    values = (value for name, value in (case.query or {}).items() if name in lists)
    texts = (",".join(map(str, value)) if isinstance(value, list) else str(value) for value in values)
    return any("" in text.split(",") for text in texts)


def has_ticket(case):
    """Whether it has drawn a ticket before, which is good in the place of a token."""
    return str((case.query or {}).get("ticket")).startswith("ticket_")


@schemathesis.hook
def after_call(context, case, response):
    if case.operation.method.upper() == "DELETE" and response.status_code == 204 and "task_id" in case.path_parameters:
        DELETED.add(case.path_parameters["task_id"])


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Drops what no schema could say; everything else fails the run."""
    if response.status_code == 431:
        # A head beyond 32 KiB is not read, so there is no request that could be answered (see the document's first words).
        return False
    kind = type(failure).__name__
    if kind == "RejectedPositiveData":
        problem = response.json()
        # Which fields an operation of a batch has follows from its action, which no schema says that generators read.
        is_batch = case.operation.path == "/api/tasks/batch" and str(problem["field"]).startswith("operations[")
        return not is_batch and (problem["code"], problem["field"]) not in EXCUSED
    if kind == "AcceptedNegativeData":
        if has_ticket(case) and "`Authorization`" in failure.message:
            return False
        # A body of `null` is none: some generated clients say so that they send nothing.
        return not (has_empty_value(case) or (case.body is None and response.status_code == 200))
    if kind == "EnsureResourceAvailability":
        # Some paths of a task are not below the one it is deleted at: there, schemathesis misses what it did itself.
        return case.path_parameters.get("task_id") not in DELETED
    if kind == "IgnoredAuth":
        return not has_ticket(case)
    return True


def is_script(text):
    return isinstance(text, str) and text.strip() and "\0" not in text and len(text) <= SCRIPT_CHARS_MAX


def is_env(env):
    return isinstance(env, dict) and len(env) <= ENV_MAX and all(isinstance(value, str) for value in env.values())


def is_ids(value):
    return isinstance(value, list) and all(isinstance(it, str) and re.fullmatch(ID, it) for it in value)


def with_good_texts(body):
    """The same body, but for what a schema cannot say; what is wrong stays wrong."""
    for operation in body["operations"] if isinstance(body.get("operations"), list) else []:
        for part in operation.values() if isinstance(operation, dict) else []:
            if isinstance(part, dict):
                with_good_texts(part)
    # Each option once.
    if isinstance(body.get("options"), list) and all(isinstance(it, str) for it in body["options"]):
        body["options"] = list(dict.fromkeys(body["options"]))
    # Tasks that there are.
    if is_ids(body.get("blocked_by")):
        body["blocked_by"] = []
    for field in ("script", "script_content"):
        # Noise is not to be run as a shell script.
        if is_script(body.get(field)):
            body[field] = "echo hello"
    if is_env(body.get("env")):
        # Names of variables, and values without NUL.
        values = (value.replace("\0", "")[:ENV_VALUE_CHARS_MAX] for value in body["env"].values())
        body["env"] = {f"NAME_{number}": value for number, value in enumerate(values)}
    # A claim waits as long as it is asked to.
    if isinstance(body.get("wait_seconds"), int) and 0 < body["wait_seconds"] <= WAIT_SECONDS_MAX:
        body["wait_seconds"] = 1
    if isinstance(body.get("cwd"), str) and len(body["cwd"]) <= CWD_CHARS_MAX:
        # No `..`, and not outside.
        body["cwd"] = "work"


@schemathesis.hook
def before_call(context, case, kwargs):
    if isinstance(case.body, dict):
        with_good_texts(case.body)
    query, headers = case.query or {}, case.headers or {}
    if query.get("since"):
        query["since"] = "earliest"
    if case.operation.path == "/api/tasks":
        # From a page before, of the same list: the links between pages are followed in tests/it.
        query.pop("cursor", None)
    for name in ("min_cursor", "after"):
        # A place in the log of this hub.
        if re.fullmatch(CURSOR, str(query.get(name))):
            query.pop(name)
    if str(query.get("wait")).isdigit() and 0 < int(query["wait"]) <= WAIT_SECONDS_MAX:
        # A long poll takes as long as it is asked to.
        query["wait"] = "1"
    if str(query.get("seconds")).isdigit() and 0 < int(query["seconds"]) <= WAIT_SECONDS_MAX:
        query["seconds"] = "1"
    if re.fullmatch(r"[ -~]{1,255}", headers.get("Idempotency-Key", "")) and headers["Idempotency-Key"].strip():
        # A key that was used before answers what it did then, or is refused: neither has to do with this request.
        headers["Idempotency-Key"] = f"{RUN}-{next(KEYS)}"
    if "If-Match" in headers:
        # Any version; a made-up one is never the task's.
        headers["If-Match"] = "*"
