"""What must be true of a follower that began with a snapshot. Like checks.py."""

from checks import short
from writes import EVENT_FIELDS


def comes_first_and_once(follower):
    """Parts 1, 2, 3 … with the id of nothing seen, then `connected` at the cursor that all of them name."""
    envelopes = [message["envelope"] for message in follower.messages]
    parts = [envelope for envelope in envelopes if envelope["event"] == "snapshot"]
    kinds = [envelope["event"] for envelope in envelopes[:len(parts) + 1]]
    if not parts or kinds != ["snapshot"] * len(parts) + ["connected"]:
        return f"{len(parts)} parts, but the messages begin with {kinds[:10]}"
    cursor = envelopes[len(parts)]["id"]
    for number, part in enumerate(parts, start=1):
        if (part["id"], part["data"]["part"], part["data"]["cursor"]) != (nothing_seen(cursor), number, cursor):
            return f"connected at {cursor}, but part {number} is {short(part)}"
    return None


def unchanged(follower, tasks, quiet):
    """The tasks that nobody has touched since are in the snapshot exactly as the hub answers them."""
    mine = {task["id"]: task for task in snapshot(follower)}
    for task_id in quiet:
        if mine.get(task_id) != tasks[task_id]:
            return f"{task_id} is {short(mine.get(task_id))}, not {short(tasks[task_id])}"
    return None


def adds_up(follower, tasks):
    """The snapshot, with the events applied to it, is what the hub has in the end."""
    mine = {task["id"]: facets(task) for task in snapshot(follower)}
    for event in follower.events():
        data = event["data"]
        if event["event"] in ("task_created", "task_updated"):
            mine[data["task_id"]] = facets(data)
        elif event["event"] == "task_deleted":
            mine.pop(data["task_id"], None)
    theirs = {task_id: facets(task) for task_id, task in tasks.items()}
    differing = [i for i in mine.keys() | theirs.keys() if mine.get(i) != theirs.get(i)]
    if not differing:
        return None
    i = differing[0]
    return f"{len(differing)} of {len(tasks)} differ: {i} is {short(mine.get(i))}, not {short(theirs.get(i))}"


def cursor_seq(follower):
    """Where its events begin; 0 when it has not got so far."""
    ids = (message["envelope"]["id"] for message in follower.messages if message["envelope"]["event"] == "connected")
    return int(next(ids, "-0").split("-")[1])


def nothing_seen(cursor):
    return f"{cursor.split('-')[0]}-0"


def snapshot(follower):
    envelopes = [message["envelope"] for message in follower.messages]
    return [task for e in envelopes if e["event"] == "snapshot" for task in e["data"]["tasks"]]


def facets(task):
    return {name: task[name] for name in EVENT_FIELDS}
