"""Recording: a death becomes a dead letter, once, however often and from wherever it is reported.

Danger: hooks, sweeps and two keepers report the same deaths at the same time and in any order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import Connection, select, update

from redrive.deployments.dead_letters.ledger.acts import record
from redrive.deployments.dead_letters.ledger.count_additions import count_dead
from redrive.deployments.dead_letters.ledger.database import Database
from redrive.deployments.dead_letters.ledger.finishes import Finish, Kind
from redrive.deployments.dead_letters.ledger.rows import Death, Outcome, Recorded
from redrive.deployments.dead_letters.ledger.tables import AnyRow, collected_states, dead_letters
from redrive.deployments.dead_letters.ledger.tallies import Tallies, insert_into
from redrive.deployments.dead_letters.ledger.text import MESSAGE_LIMIT, TRACEBACK_LIMIT, storable

#: Deaths per transaction: long enough to be fast, short enough not to keep others waiting.
CHUNK: Final = 500

#: Characters of names and the like.
NAME_LIMIT: Final = 1_000

#: Characters of an effect key; Prefect's own index on idempotency keys takes fewer.
KEY_LIMIT: Final = 20_000

KEEPER: Final = "keeper"


def record_deaths(database: Database, deaths: Iterable[Death]) -> list[Recorded]:
    """One result per death, in the order given. Repeating a call changes nothing."""
    # In the order they happened, so that of two deaths of one run the later one counts.
    waiting = sorted(enumerate(deaths), key=lambda one: (one[1].last_failure, one[0]))
    results: dict[int, Recorded] = {}
    while waiting:
        chunk: dict[UUID, tuple[int, Death]] = {}
        rest: list[tuple[int, Death]] = []
        for place, death in waiting:
            if len(chunk) < CHUNK and death.run_id not in chunk:
                chunk[death.run_id] = (place, death)
            else:
                rest.append((place, death))
        together = [death for _, death in chunk.values()]
        done = database.run(partial(_record_deaths, deaths=together))
        results.update({place: done[death.run_id] for place, death in chunk.values()})
        waiting = rest
    return [results[place] for place in sorted(results)]


def _record_deaths(connection: Connection, deaths: Sequence[Death]) -> dict[UUID, Recorded]:
    """Record deaths of different runs in one transaction."""
    now = datetime.now(UTC)
    sums = Tallies()
    known = known_states(connection, [death.dead_state_id for death in deaths])
    # One order for everybody's locks.
    new = sorted((death for death in deaths if death.dead_state_id not in known), key=lambda death: death.run_id)
    results: dict[UUID, Recorded] = {}
    inserted = _insert(connection, new, now)
    again = [death for death in new if death.run_id not in inserted]
    rows = _locked(connection, [death.run_id for death in again])
    # A row that was in the way may have been pruned since.
    inserted |= _insert(connection, [death for death in again if death.run_id not in rows], now)
    for death in new:
        if row := inserted.get(death.run_id):
            sums.added(row)
            sums.died(row)
            results[death.run_id] = _result(Outcome.NEW, death, row)
        else:
            results[death.run_id] = _die_again(connection, death, rows[death.run_id], now, sums)
    _collect(connection, new, now)
    record(
        connection,
        [
            {
                "dead_letter_id": result.id,
                "what": "dead-lettered" if result.outcome is Outcome.NEW else "reopened",
                "who": KEEPER,
                "at": death.last_failure,
                "state_id": death.dead_state_id,
            }
            for death in new
            if (result := results[death.run_id]).outcome is not Outcome.KNOWN
        ],
    )
    sums.apply(connection)
    count_dead(connection, [_finish(death) for death in new if results[death.run_id].outcome is not Outcome.KNOWN])
    old = [death for death in deaths if death.run_id not in results]
    ids = _ids(connection, [death.run_id for death in old])
    for death in old:
        row = ids.get(death.run_id)
        results[death.run_id] = _result(Outcome.KNOWN, death, row)
    return results


def _finish(death: Death) -> Finish:
    return Finish(
        run_id=death.run_id,
        at=death.last_failure,
        status="dead",
        reason=death.reason,
        kind=Kind(queue=storable(death.queue, limit=NAME_LIMIT), job=storable(death.job, limit=NAME_LIMIT)),
        retries=death.retries,
        rescues=death.rescues,
        since=death.since,
        ran=death.ran,
        waited=death.waited,
    )


def known_states(connection: Connection, state_ids: Sequence[UUID]) -> set[UUID]:
    query = select(collected_states.c.state_id).where(collected_states.c.state_id.in_(state_ids))
    return set(connection.scalars(query)) if state_ids else set()


def _insert(connection: Connection, deaths: Sequence[Death], now: datetime) -> dict[UUID, AnyRow]:
    """The rows of runs that never died before."""
    if not deaths:
        return {}
    replaced = _replaced(connection, deaths)
    # A run that another transaction is just recording makes this wait, and is then not inserted.
    insert = (
        insert_into(connection, dead_letters).on_conflict_do_nothing(index_elements=["run_id"]).returning(dead_letters)
    )
    values = [
        {
            **_facts(death),
            "id": uuid4(),
            "run_id": death.run_id,
            "status": "open",
            "deaths": 1,
            "redrives": 0,
            "first_failure": death.first_failure or death.last_failure,
            "buried_at": now,
            "replaces_run_id": death.replaces_run_id or replaced.get(death.run_id),
            "effect_key": _effect_key(death),
        }
        for death in deaths
    ]
    return {row.run_id: row for row in connection.execute(insert, values)}


def _die_again(connection: Connection, death: Death, row: AnyRow, now: datetime, sums: Tallies) -> Recorded:
    if row.dead_state_id == death.dead_state_id or death.last_failure < row.last_failure:
        # The same death from somebody faster, or an older one that arrives late.
        return _result(Outcome.KNOWN, death, row)
    sums.removed(row)
    changed = connection.execute(
        update(dead_letters)
        .where(dead_letters.c.id == row.id)
        .values(
            **_facts(death),
            status="open",
            deaths=row.deaths + 1,
            buried_at=now,
            closed_at=None,
            closed_by=None,
            closed_why=None,
            # One and the same for the run's whole life.
            effect_key=row.effect_key or _effect_key(death),
            # It was the run itself that ran again, so its own end counts from here on.
            replaced_by_run_id=None,
        )
        .returning(dead_letters)
    ).one()
    sums.added(changed)
    sums.died(changed)
    if changed.fingerprint != row.fingerprint:
        sums.left(row.fingerprint, row.id)
    return _result(Outcome.REOPENED, death, changed)


def _effect_key(death: Death) -> str | None:
    return None if death.effect_key is None else storable(death.effect_key, limit=KEY_LIMIT)


def _facts(death: Death) -> dict[str, Any]:
    """What a death says, and every later death of the same run says anew."""
    return {
        "dead_state_id": death.dead_state_id,
        "reason": storable(death.reason, limit=40)[:40],
        "job": storable(death.job, limit=NAME_LIMIT),
        "queue": storable(death.queue, limit=NAME_LIMIT),
        "deployment_id": death.deployment_id,
        "flow_id": death.flow_id,
        "flow_name": storable(death.flow_name, limit=NAME_LIMIT),
        "run_name": storable(death.run_name, limit=NAME_LIMIT),
        "worker": None if death.worker is None else storable(death.worker, limit=NAME_LIMIT),
        "parameters": death.parameters,
        "tags": list(death.tags),
        "error_type": storable(death.error_type, limit=NAME_LIMIT),
        "message": storable(death.message, limit=MESSAGE_LIMIT),
        "traceback": None if death.traceback is None else storable(death.traceback, limit=TRACEBACK_LIMIT),
        "step": None if death.step is None else storable(death.step, limit=NAME_LIMIT),
        "fingerprint": death.fingerprint(),
        "tries": death.tries,
        "crashes": death.crashes,
        "last_failure": death.last_failure,
        "trace_id": death.trace_id,
    }


def _replaced(connection: Connection, deaths: Sequence[Death]) -> dict[UUID, UUID]:
    """Which of these runs were made to replace a dead one."""
    query = select(dead_letters.c.replaced_by_run_id, dead_letters.c.run_id).where(
        dead_letters.c.replaced_by_run_id.in_([death.run_id for death in deaths])
    )
    return {row.replaced_by_run_id: row.run_id for row in connection.execute(query)}


def _locked(connection: Connection, run_ids: Sequence[UUID]) -> dict[UUID, AnyRow]:
    if not run_ids:
        return {}
    query = select(dead_letters).where(dead_letters.c.run_id.in_(run_ids)).order_by(dead_letters.c.run_id)
    return {row.run_id: row for row in connection.execute(query.with_for_update())}


def _ids(connection: Connection, run_ids: Sequence[UUID]) -> dict[UUID, AnyRow]:
    query = select(dead_letters.c.run_id, dead_letters.c.id, dead_letters.c.fingerprint)
    return (
        {row.run_id: row for row in connection.execute(query.where(dead_letters.c.run_id.in_(run_ids)))}
        if run_ids
        else {}
    )


def _collect(connection: Connection, deaths: Sequence[Death], now: datetime) -> None:
    if deaths:
        insert = insert_into(connection, collected_states).on_conflict_do_nothing(index_elements=["state_id"])
        states = sorted(death.dead_state_id for death in deaths)
        connection.execute(insert, [{"state_id": state, "collected_at": now} for state in states])


def _result(outcome: Outcome, death: Death, row: AnyRow | None) -> Recorded:
    return Recorded(
        outcome=outcome,
        run_id=death.run_id,
        dead_state_id=death.dead_state_id,
        id=None if row is None else row.id,
        fingerprint=death.fingerprint() if row is None else row.fingerprint,
    )
