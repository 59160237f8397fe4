"""What must be true of a hub, and of what a follower has received. A check answers None, or what is wrong in words."""

from collections import Counter

from follower import CONTROL
from writes import EVENT_FIELDS, key

OPEN = 1  # EventSource.OPEN
KINDS = {"task_created", "task_updated", "task_deleted", "execution_event", "announcement"} | CONTROL


def log_has_no_gap(log):
    epoch = log[0]["id"].split("-")[0]
    wanted = [f"{epoch}-{seq}" for seq in range(1, len(log) + 1)]
    return next((f"{event['id']} stands where {i} should" for event, i in zip(log, wanted) if event["id"] != i), None)


def tasks_as_sent(tasks, sent):
    for task_id, fields in sent.items():
        for name, wanted in fields.items():
            # What a writer sent last may or may not have been done when the hub was killed.
            if not tasks[task_id]["title"].startswith("Writer") and tasks[task_id][name] != wanted:
                return f"{name} of {task_id} is {short(tasks[task_id][name])}, not {short(wanted)}"
    return None


def counts_all(status, followers):
    wanted = sorted(follower.client.format for follower in followers if follower.client.format)
    counted = sorted(client["format"] for client in status["clients"])
    return None if counted == wanted else f"it counts {counted}, not {wanted}"


def every_event_in_order_once(follower, log):
    got, wanted = [e["id"] for e in follower.events()], [e["id"] for e in log]
    if got == wanted:
        return None
    missing, unknown = sorted(set(wanted) - set(got)), sorted(set(got) - set(wanted))
    again = sorted(i for i, times in Counter(got).items() if times > 1)
    return f"got {len(got)} of {len(wanted)} events; missing {missing[:5]}, unknown {unknown[:5]}, again {again[:5]}"


def every_acknowledged_change(follower, acknowledged):
    got = {key(event) for event in follower.events()}
    missing = [what for what in acknowledged if what not in got]
    return f"{len(missing)} of {len(acknowledged)} changes are missing: {missing[:3]}" if missing else None


def texts_unchanged(follower, acknowledged):
    for event in follower.events():
        for name, wanted in acknowledged.get(key(event), {}).items():
            if name not in event["data"].get("omitted", []) and event["data"][name] != wanted:
                return f"{name} of {event['id']} is {short(event['data'][name])}, not {short(wanted)}"
    return None


def nothing_injected(follower, log):
    """Whatever a message says beside its texts is as in the log, and so is its SSE id and type."""
    events = {event["id"]: event for event in log}
    for message in follower.messages:
        envelope = message["envelope"]
        if sorted(envelope) != ["data", "event", "id", "timestamp"] or envelope["event"] not in KINDS:
            return f"unknown fields or kind: {short(message)}"
        if envelope["event"] not in CONTROL and envelope != as_sent(events.get(envelope["id"]), envelope):
            return f"not as in the log: {short(envelope)}"
        if message.get("id", envelope["id"]) != envelope["id"]:
            return f"its id is {message['id']!r}, that of the envelope {envelope['id']!r}"
        wanted = envelope["event"] if "named" in follower.url else "message"
        if message.get("type", wanted) != wanted:
            return f"its type is {message['type']!r}, not {wanted!r}"
    return None


def resumes_where_it_was(follower, breaks):
    """Every connection but the first goes on behind the last message of the one before."""
    envelopes = [message["envelope"] for message in follower.messages]
    connected = [n for n, envelope in enumerate(envelopes) if envelope["event"] == "connected"]
    if len(connected) <= breaks:
        return f"connected {len(connected)} times in {breaks} restarts"
    for n in connected[1:]:
        before, envelope = envelopes[n - 1], envelopes[n]
        if envelope["id"] != before["id"] or not envelope["data"]["resumed"]:
            return f"after {before['id']} it connected with {envelope}"
    return None


def as_sent(event, envelope):
    """An event of the log as it goes to a client that takes no long lines (`max_bytes`)."""
    omitted = envelope["data"].get("omitted")
    if not event or not omitted:
        return event
    return {**event, "data": {**event["data"], **{name: [] for name in omitted}, "omitted": omitted}}


def open_at_the_end(follower):
    if follower.ended or follower.late:
        return follower.ended or follower.late
    if follower.client.is_event_source and follower.ready_state != OPEN:
        return f"readyState is {follower.ready_state}"
    return None


def short(value, chars=300):
    text = ascii(value)
    return text if len(text) <= chars else f"{text[:chars]}… ({len(text)} characters)"
