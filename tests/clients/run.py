#!/usr/bin/env python3
"""Real clients follow a hub that is stopped, killed and started again, and must not miss, double or bend anything.

    tests/.venv/bin/python tests/clients/run.py [--binary target/release/taskhub]

Prints one line for each check and `N passed, M failed`. The hub and all clients are this program's own.
"""

import argparse
import asyncio
import contextlib
import pathlib
import shutil
import signal
import sys
import tempfile

import checks
import phases
import snapshot_checks
from follower import CLIENTS, SNAPSHOT_CLIENTS, Follower, catch_up
from hub import Failed, Hub, Interrupted
from report import Report
from writes import Writes

ROOT = pathlib.Path(__file__).resolve().parents[2]
ALL_SECONDS = 150
CONNECT_SECONDS = 40  # two browsers start meanwhile, perhaps on a machine with more to do
CATCH_UP_SECONDS = 20  # a client waits up to five seconds before it comes back
RESTARTS = 2


async def follow_all(stack, hub, directory, clients):
    """Starts clients and waits until they are connected."""
    followers = []
    for client in clients:
        follower = Follower(client, hub.url(client.path), directory)
        followers.append(await stack.enter_async_context(follower))
    streams = [follower for follower in followers if follower.client.format]
    await catch_up(streams, lambda envelope: envelope["event"] == "connected", "`connected`", CONNECT_SECONDS)
    return followers


async def story(stack, hub, directory, report):
    await hub.start()
    followers = await follow_all(stack, hub, directory, CLIENTS)
    report.note(f"{len(followers)} clients follow")

    writes = Writes(hub)
    await phases.write_a_bit_of_everything(writes)
    quiet = await phases.write_texts(writes)
    report.add("hub: refuses lone surrogates in every field", await phases.lone_surrogates_are_refused(hub, quiet[0]))
    report.note(f"{len(writes.acknowledged)} changes are acknowledged")

    async with phases.while_writing(writes):
        writes.pause_seconds = 0.05  # browsers that start need the machine, too
        late_comers = await follow_all(stack, hub, directory, SNAPSHOT_CLIENTS)
        writes.pause_seconds = 0
        await phases.some_more(writes)
        await hub.stop(signal.SIGTERM)
    await come_back(hub, writes, followers + late_comers)
    report.note(f"all are back after SIGTERM; {len(writes.acknowledged)} changes are acknowledged")

    async with phases.while_writing(writes):
        await phases.some_more(writes)
        await hub.stop(signal.SIGKILL)
    await come_back(hub, writes, followers + late_comers)
    report.note(f"all are back after SIGKILL; {len(writes.acknowledged)} changes are acknowledged")

    log, tasks = await hub.events(), await hub.tasks()
    status = await hub.call("GET", "/api/events/status?clients=true")
    for follower in followers + late_comers:
        if follower.client.is_event_source:
            await follower.say_state()

    report.add("hub: has no gap in its log", checks.log_has_no_gap(log))
    report.add("hub: has the tasks as they were sent", checks.tasks_as_sent(tasks, writes.sent))
    report.add("hub: counts every client as connected", checks.counts_all(status, followers + late_comers))
    for follower in followers:
        check_follower(report, follower, writes.acknowledged, log)
    for follower in late_comers:
        check_late_comer(report, follower, tasks, quiet, log)


async def come_back(hub, writes, followers):
    """Starts the hub again, with changes that nobody has seen live, and waits until all have caught up."""
    await phases.write_aside(hub, writes)
    await hub.start()
    last = await writes.announce("Here again")
    await catch_up(followers, lambda envelope: envelope["id"] == last, f"what came before {last}", CATCH_UP_SECONDS)


def check_follower(report, follower, acknowledged, log):
    name = follower.client.name
    report.add(f"{name}: gets every event, in order, once", checks.every_event_in_order_once(follower, log))
    report.add(f"{name}: gets every acknowledged change", checks.every_acknowledged_change(follower, acknowledged))
    report.add(f"{name}: gets every text unchanged", checks.texts_unchanged(follower, acknowledged))
    report.add(f"{name}: gets nothing injected", checks.nothing_injected(follower, log))
    if follower.client.format:
        report.add(f"{name}: resumes where it was", checks.resumes_where_it_was(follower, RESTARTS))
    report.add(f"{name}: is open at the end", checks.open_at_the_end(follower))


def check_late_comer(report, follower, tasks, quiet, log):
    name = follower.client.name
    rest = log[snapshot_checks.cursor_seq(follower):]
    report.add(f"{name}: gets it first and once", snapshot_checks.comes_first_and_once(follower))
    report.add(f"{name}: gets every text of it unchanged", snapshot_checks.unchanged(follower, tasks, quiet))
    report.add(f"{name}: gets every event after it, in order, once", checks.every_event_in_order_once(follower, rest))
    report.add(f"{name}: has all tasks as the hub has them", snapshot_checks.adds_up(follower, tasks))
    report.add(f"{name}: gets nothing injected", checks.nothing_injected(follower, log))
    report.add(f"{name}: resumes where it was", checks.resumes_where_it_was(follower, RESTARTS))
    report.add(f"{name}: is open at the end", checks.open_at_the_end(follower))


async def main(binary):
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    report = Report()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="taskhub-clients-"))
    try:
        async with contextlib.AsyncExitStack() as stack:
            hub = await stack.enter_async_context(Hub(binary, directory))
            await asyncio.wait_for(story(stack, hub, directory, report), ALL_SECONDS)
    except (Failed, Interrupted, OSError) as error:
        report.add("the story", error)
    except asyncio.TimeoutError:
        report.add("the story", f"it was not over within {ALL_SECONDS} s")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return report.end()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Real clients follow a hub across its restarts.")
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "target/release/taskhub")
    sys.exit(asyncio.run(main(parser.parse_args().binary.resolve())))
