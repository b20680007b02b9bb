"""What `redrive check` asks of an installation with servers of its own: faults that show only under load, after a kill or after a month.

Each point is a function of what was read, so that it can be tried without the installation that has the fault.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from redrive.blocks.core.counted import counted
from redrive.blocks.core.errors import RedriveError

Json = Mapping[str, Any]

#: Of Prefect 3.8.8: what lies in the memory of one process.
MEMORY = {
    "PREFECT_SERVER_EVENTS_MESSAGING_BROKER": "prefect.server.utilities.messaging.memory",
    "PREFECT_SERVER_EVENTS_MESSAGING_CACHE": "prefect.server.utilities.messaging.memory",
    "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING": "prefect.server.events.ordering.memory",
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.memory",
    "PREFECT_SERVER_DOCKET_URL": "memory://",
}
#: Passwords that stand in examples.
WELL_KNOWN = frozenset(
    {"", "pass", "password", "admin", "redrive", "prefect", "postgres", "change-me", "changeme", "secret", "test"}
)
#: Seconds that two clocks may differ.
SKEW = 5.0
#: Heartbeats of a worker in its lease, at least.
HEARTBEATS = 3
#: Seconds between the heartbeats of a running flow, Prefect's default.
FLOW_HEARTBEAT = 180.0
#: Entries of a stream in Redis that are read up. Prefect's servers read theirs within seconds.
STREAM = 100_000
#: How old the newest backup may be.
BACKUP = timedelta(days=1)


def shared_state(settings: Json, hosts: int = 1) -> str:
    """Several API servers share everything through Redis, or one keeps everything in its memory; never a part of it.

    Args:
        hosts: that work with Prefect's database, as that sees it.
    """
    found = {
        "PREFECT_SERVER_EVENTS_MESSAGING_BROKER": settings["server"]["events"]["messaging_broker"],
        "PREFECT_SERVER_EVENTS_MESSAGING_CACHE": settings["server"]["events"]["messaging_cache"],
        "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING": settings["server"]["events"]["causal_ordering"],
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": settings["server"]["concurrency"]["lease_storage"],
        "PREFECT_SERVER_DOCKET_URL": settings["server"]["docket"]["url"],
    }
    in_memory = [name for name, value in found.items() if str(value).startswith(MEMORY[name])]
    if not in_memory:
        return "several may run: they share events, leases and the docket"
    if len(in_memory) == len(found) and hosts > 1:
        raise RedriveError(
            f"{hosts} hosts work with Prefect's database, and its API server keeps events, leases and the docket in its memory: with "
            "several servers jobs are scheduled twice, or events are lost; set " + ", ".join(in_memory)
        )
    if len(in_memory) == len(found):
        return "one API server, which runs the services itself: a second one would schedule everything twice"
    raise RedriveError(
        f"the API server shares some of its state and keeps {', '.join(in_memory)} in its memory: with several servers jobs are "
        "scheduled twice, or events are lost; set them all"
    )


def passwords(auth: str | None, urls: Iterable[str]) -> str:
    """The API and the databases ask for a password that nobody can guess."""
    if not auth:
        raise RedriveError(
            "the API asks for no password: set PREFECT_SERVER_API_AUTH_STRING there, PREFECT_API_AUTH_STRING here"
        )
    guessed = ["PREFECT_API_AUTH_STRING"] if auth.partition(":")[2].lower() in WELL_KNOWN else []
    for url in urls:
        parts = urlsplit(url)
        # Over a Unix socket the system itself says who asks.
        if parts.hostname and unquote(parts.password or "").lower() in WELL_KNOWN:
            guessed.append(f"the password of {parts.username or 'nobody'} at {parts.hostname}")
    if guessed:
        raise RedriveError(f"{' and '.join(guessed)} can be guessed: set another one")
    return "the API and the databases ask for one"


def retention(settings: Json, prune_is_active: bool) -> str:  # noqa: FBT001  (a fact, not an option)
    """Finished runs and events do not stay for ever."""
    vacuumed = set(settings["server"]["services"]["db_vacuum"]["enabled"] or ())
    if "events" not in vacuumed:
        raise RedriveError(
            "events stay for ever: set PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED=events,flow_runs at the server"
        )
    if not prune_is_active and "flow_runs" not in vacuumed:
        raise RedriveError(
            "finished runs stay for ever: the schedule of job `prune` is paused or missing; `redrive schedules list`"
        )
    return f"finished runs go by {'`prune`' if prune_is_active else 'the vacuum of Prefect'}, events by the vacuum"


def clocks(ahead: Mapping[str, float]) -> str:
    """Clocks agree; `ahead` in seconds by what they are of, against this machine's."""
    off = [
        f"{name} {abs(seconds):.0f} s {'ahead' if seconds > 0 else 'behind'}"
        for name, seconds in ahead.items()
        if abs(seconds) > SKEW
    ]
    if off:
        raise RedriveError(f"clocks differ: {', '.join(off)}; let all hosts follow one time server (NTP)")
    return f"within {SKEW:g} s"


def versions(*, here: str, server: str, deployments: Iterable[Json], redrive: str) -> str:
    """Everything is of one version."""
    if here != server:
        raise RedriveError(f"Prefect {here} here, {server} at the server: install the same")
    marked = {str(one["name"]): str(one.get("version") or "") for one in deployments}
    # What `prefect deploy` registered has no mark, and is not judged.
    stale = {
        name: found for name, mark in marked.items() if (found := mark.partition("+redrive-")[2]) not in {"", redrive}
    }
    if stale:
        names = ", ".join(f"{name} ({found})" for name, found in sorted(stale.items()))
        raise RedriveError(
            f"registered by another Redrive than {redrive}: {names}; run `redrive up`, or the register job"
        )
    return f"Prefect {here}, Redrive {redrive}"


def served_queues(queues: Sequence[str], served: Collection[Collection[str]], waiting: Mapping[str, int]) -> str:
    """Every queue has a worker; `served`: the queues of each worker that tells, empty for all."""
    if not served:
        return "no worker tells which queues it serves"
    lonely = (
        [] if any(not one for one in served) else [name for name in queues if not any(name in one for one in served)]
    )
    if lonely:
        message = ", ".join(f"{name} ({counted(waiting.get(name, 0), 'job')} waiting)" for name in lonely)
        raise RedriveError(
            f"no worker serves {message}: start one with `--work-queue {lonely[0]}`, or one without that option"
        )
    return f"{counted(len(queues), 'queue')}, each with a worker"


def lease(retry_after: float, intervals: Mapping[str, float]) -> str:
    """A lease has room for three heartbeats of each worker; `intervals` in seconds."""
    short = {name: every for name, every in intervals.items() if retry_after < HEARTBEATS * every}
    if short:
        name, every = max(short.items(), key=lambda pair: pair[1])
        raise RedriveError(
            f"REDRIVE_RETRY_AFTER={retry_after:g} is less than three heartbeats of worker {name} ({every:g} s apart): "
            f"set it to {HEARTBEATS * every:g}, or PREFECT_WORKER_HEARTBEAT_SECONDS={max(1, int(retry_after // HEARTBEATS))} there"
        )
    return f"{retry_after:g} s, three heartbeats or more"


def results(hosts: Collection[str], storage_block: str | None) -> str:
    """With several hosts, results lie where all find them."""
    if len(hosts) > 1 and not storage_block:
        raise RedriveError(
            f"workers run on {counted(len(hosts), 'host')} ({', '.join(sorted(hosts))}) and results lie on each one's disk, so that "
            "completed steps are repeated elsewhere: set PREFECT_DEFAULT_RESULT_STORAGE_BLOCK, or share the folder and set "
            "REDRIVE_RESULTS_SHARED=1"
        )
    return storage_block or "on one host's disk"


def streams(lengths: Mapping[str, int]) -> str:
    """Streams in Redis are read, so they do not grow."""
    grown = {name: length for name, length in lengths.items() if length > STREAM}
    if grown:
        message = ", ".join(f"{name} ({length:,})" for name, length in sorted(grown.items()))
        raise RedriveError(f"streams in Redis grow, as nobody reads them: {message}; are Prefect's services running?")
    return f"{counted(len(lengths), 'stream')}, none grows"


def zombie_automations(automations: Iterable[Json]) -> str:
    """No automation calls a run dead that only waits for its next heartbeat."""
    wrong = [
        f"{one['name']!r} ({within:g} s)"
        for one in automations
        if one.get("enabled", True)
        and "prefect.flow-run.heartbeat" in json.dumps(one.get("trigger", {}))
        and (within := _within(one.get("trigger", {}))) <= FLOW_HEARTBEAT
    ]
    if wrong:
        raise RedriveError(
            f"automation {', '.join(wrong)} ends healthy runs, which send a heartbeat every {FLOW_HEARTBEAT:g} s: delete it (the keeper "
            "finds dead runs), or make it wait for three heartbeats"
        )
    return "none ends runs between two heartbeats"


def _within(trigger: Json) -> float:
    inner = [_within(one) for one in trigger.get("triggers", ())]
    own = [float(trigger["within"])] if isinstance(trigger.get("within"), int | float) else []
    return min([*own, *inner], default=float("inf"))


def backups(folder: Path | None, now: datetime) -> str:
    """The newest backup is of the last day."""
    if folder is None:
        raise RedriveError(
            "nobody knows of a backup: set REDRIVE_BACKUPS to their folder, and run `redrive backup` daily"
        )
    made = [found for path in folder.glob("redrive-*/manifest.json") if (found := _made(path))]
    if not made:
        raise RedriveError(f"there is no backup in {folder}: run `redrive backup`, daily")
    age = now - max(made)
    if age > BACKUP:
        raise RedriveError(
            f"the newest backup in {folder} is of {max(made):%Y-%m-%d %H:%M}Z, {_hours(age)} h ago: run `redrive backup`, daily"
        )
    return f"the newest is {_hours(age)} h old"


def _hours(age: timedelta) -> int:
    return int(age.total_seconds() // 3600)


def _made(manifest: Path) -> datetime | None:
    try:
        found = datetime.fromisoformat(json.loads(manifest.read_text())["at"])
    except (OSError, ValueError, KeyError):
        return None
    return found.astimezone(UTC)
