"""What is written, and how the hub is restarted meanwhile: the chapters of the story that run.py tells."""

import asyncio
import contextlib
import signal
import time

import texts
from hub import Failed, Interrupted

WRITERS = 4
WRITERS_SECONDS = 10


async def write_a_bit_of_everything(writes):
    ids = await asyncio.gather(*(writes.create(title=f"Task {n}", tags=["burst"]) for n in range(100)))
    await asyncio.gather(*(writes.put_status(i, "inprogress", priority="high") for i in ids[:50]))
    await asyncio.gather(*(writes.delete(i) for i in ids[90:]))
    await writes.announce("Hello, everybody", "critical")
    execution = await writes.execute(ids[0], "exit 3")
    for phase, exit_code in (("started", None), ("failed", 3)):
        said = {"task_id": ids[0], "exit_code": exit_code}
        writes.acknowledged["execution_event", execution, phase] = said


async def write_texts(writes):
    """Every text in every field that may hold it. Answers the tasks."""
    ids = []
    for text in texts.TEXTS.values():
        script = f"# {text}".replace("\0", "")
        ids.append(await writes.create(title=text + ".", description=text, artifacts=[text], script=script))
        await writes.patch(ids[-1], title="." + text, description=text * 2, artifacts=[text, text + "2"])
        await writes.put_status(ids[-1], "review", artifacts=[text, "plain"])
        await writes.announce(text + ".")
    for text in texts.NAMES.values():
        ids.append(await writes.create(title="names", assignee=text, tags=[text, text + "2"]))
        await writes.put_status(ids[-1], "done", assignee=text + "2")
    ids.append(await writes.create(title="\0" * (texts.TITLE_CHARS - 1) + ".", artifacts=texts.largest_artifacts()))
    ids.append(await writes.create(title="the largest"))
    for fields in texts.largest_fields():
        await writes.patch(ids[-1], **fields)
    ids.append(await writes.create(title="a megabyte", description=texts.megabyte()))
    await writes.patch(ids[-1], title="empty", tags=["x"], artifacts=["x"], assignee="x")
    await writes.patch(ids[-1], tags=[], artifacts=[], assignee=None)
    await writes.patch(ids[0], description="")
    return ids


async def lone_surrogates_are_refused(hub, task_id):
    task = f"/api/tasks/{task_id}"
    bodies = [
        ("PATCH", task, '{"title":"%s"}'),
        ("PATCH", task, '{"description":"%s"}'),
        ("PATCH", task, '{"assignee":"%s"}'),
        ("PATCH", task, '{"tags":["%s"]}'),
        ("PATCH", task, '{"artifacts":["%s"]}'),
        ("PATCH", task, '{"script":"%s"}'),
        ("PUT", f"/api/tasks/status/{task_id}", '{"new_status":"done","artifacts":["%s"]}'),
        ("POST", "/api/tasks", '{"title":"%s"}'),
        ("POST", "/api/events/announcements", '{"level":"info","message":"%s"}'),
    ]
    for method, path, body in bodies:
        for text in texts.LONE_SURROGATES:
            status, answer, _ = await hub.ask(method, path, raw=body % text)
            if status != 400:
                return f"{method} {path} with {body % text} answered {status}: {answer}"
    return None


@contextlib.asynccontextmanager
async def while_writing(writes):
    """Some change tasks all the time until the hub goes away, which has to happen in here."""
    writers = [asyncio.create_task(keep_writing(writes, n)) for n in range(WRITERS)]
    try:
        yield
        await asyncio.gather(*writers)
    finally:
        for writer in writers:
            writer.cancel()


async def keep_writing(writes, n):
    with contextlib.suppress(Interrupted):
        task_id = await writes.create(title=f"Writer {n}")
        turn = 0
        while True:
            turn += 1
            await writes.put_status(task_id, ["inprogress", "review"][turn % 2], priority=["low", "high"][turn % 2])
            await writes.patch(task_id, title=f"Writer {n}, turn {turn}\r\ndata: ")
            await asyncio.sleep(writes.pause_seconds)


async def some_more(writes):
    """Waits until those who write have got somewhere."""
    enough, deadline = len(writes.acknowledged) + 100, time.monotonic() + WRITERS_SECONDS
    while len(writes.acknowledged) < enough:
        if time.monotonic() > deadline:
            raise Failed("writing has come to a halt")
        await asyncio.sleep(0.01)


async def write_aside(hub, writes):
    """Starts the hub where no client looks for it, and changes what all of them miss."""
    await hub.start(aside=True)
    writes.aside = True
    missed = [await writes.create(title=f"Missed {n}\n\n") for n in range(30)]
    for task_id in missed[::2]:
        await writes.put_status(task_id, "done")
    writes.aside = False
    await hub.stop(signal.SIGTERM)
