"""Is everything as it should be for jobs to run? Each point is asked of the thing itself.

Danger: a check that finds nothing wrong promises nothing for the next minute; it is for setting up, not for monitoring.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from redrive.blocks.core.counted import counted
from redrive.blocks.core.errors import RedriveError
from redrive.blocks.core.extras import is_missing
from redrive.blocks.core.settings import settings
from redrive.blocks.prefect.client import ask, prefect_settings, reachable
from redrive.blocks.prefect.requests import deployments, fast, server, workers
from redrive.blocks.tracing.switch import is_asked_for, obstacle, protocol
from redrive.deployments.catalog import BUILT_IN, catalog, complete_catalog
from redrive.deployments.dead_letters.ledger import Ledger
from redrive.deployments.health.installation import of_this_installation
from redrive.deployments.health.keeper_health import keeper_health

if TYPE_CHECKING:
    from prefect.blocks.core import Block

#: Seconds the exporter and the console may take to say how they are; they ask nobody for that.
PATIENCE_HERE = 5.0
#: An address to listen on, not to ask at.
EVERYWHERE = "0.0.0.0"  # noqa: S104  (compared with, not bound to)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One point: what was looked at, whether it is well, and what was found or what to do."""

    point: str
    well: bool
    said: str


def check() -> Iterator[Finding]:
    """Every point in turn. They are asked side by side, since each that hangs takes its seconds."""
    # Blocks need Prefect, which takes seconds to load; and all of it before any thread begins, as threads would meet halves of it.
    from redrive.blocks.mail_server import MailServer  # noqa: PLC0415  (as said)
    from redrive.blocks.warehouse import Warehouse  # noqa: PLC0415  (as said)

    points: tuple[tuple[str, Callable[[], str]], ...] = (
        ("job types", _catalog),
        ("Prefect's API", _api),
        ("deployments", _deployments),
        ("workers", _workers),
        ("ledger", _ledger),
        ("keeper", _keeper),
        ("exporter", _exporter),
        ("console", _console),
        ("warehouse", lambda: _block(Warehouse)),
        ("mail server", lambda: _block(MailServer)),
        *of_this_installation(settings()),
        *((("traces", _traces),) if is_asked_for() else ()),
    )
    with prefect_settings(), ThreadPoolExecutor(len(points)) as pool:
        for answer in [pool.submit(copy_context().run, _found, point, probe) for point, probe in points]:
            yield answer.result()


def _found(point: str, probe: Callable[[], str]) -> Finding:
    try:
        with reachable():
            return Finding(point=point, well=True, said=probe())
    except (RedriveError, httpx.HTTPError) as error:
        return Finding(point=point, well=False, said=str(error))


def _catalog() -> str:
    return ", ".join(complete_catalog())


def _api() -> str:
    ask(server.ready())
    return f"{settings().api_url} answers{_fast_calls()}"


def _fast_calls() -> str:
    """A warning if this stack's server is to have calls of our own and has them not."""
    if not settings().fast_server:
        return ""
    answer = ask(fast.version().or_none())
    if answer is None:
        return ", without the fast calls: this server has none, so jobs are begun and finished by Prefect's own"
    return "" if answer["version"] else f", without the fast calls: {answer['why']}"


def _deployments() -> str:
    missing = []
    here = [job for job in catalog().values() if not (job in BUILT_IN and is_missing(job.name))]
    for job in here:
        flow, _, name = job.deployment.partition("/")
        if ask(deployments.named(flow, name).or_none()) is None:
            missing.append(job.name)
    if missing:
        raise RedriveError(f"not registered: {', '.join(missing)}; run `redrive up` or `prefect deploy --all`")
    return f"{len(here)} registered; deleting one in Prefect deletes its waiting jobs"


def _workers() -> str:
    lonely, online = [], 0
    for pool in sorted({job.pool for job in catalog().values()}):
        found = ask(workers.of_pool(pool, online=True).or_none()) or []
        online += len(found)
        lonely += [] if found else [pool]
    if lonely:
        raise RedriveError(
            f"no worker serves work pool {' nor '.join(lonely)}; jobs wait: `redrive up`, or start one there"
        )
    return f"{online} online"


def _ledger() -> str:
    with Ledger(settings().ledger_url()) as ledger:
        ledger.migrate()
        letters = sum(total.count for total in ledger.totals() if total.status == "open")
        return f"reachable, {counted(letters, 'open dead letter')}"


def _keeper() -> str:
    with Ledger(settings().ledger_url()) as ledger:
        ledger.migrate()
        health = keeper_health(ledger.duties())
    if not health.healthy:
        raise RedriveError(health.summary)
    return health.summary


def _exporter() -> str:
    answer = _answer_here(
        "exporter",
        settings().metrics_port,
        "/health",
        slow=", so no alert can fire",
        gone=", so no alert can fire: `redrive up` starts the exporter",
    )
    if isinstance(answer, str):
        return f"{answer}; where it runs, the alert RedriveExporterDown watches it"
    if not answer.is_success:
        raise RedriveError(f"its figures stand still: {' '.join(answer.text.split())}")
    return f"{_here(settings().metrics_port)}/metrics is fresh"


def _console() -> str:
    port = settings().console_port
    answer = _answer_here("console", port, "/alive", gone=": `redrive up` starts the console; jobs are not concerned")
    if isinstance(answer, str):
        return answer
    if not answer.is_success:
        raise RedriveError(f"the console at {_here(port)} answered {answer.status_code}: its log says why")
    return _here(port)


def _here(port: int) -> str:
    host = settings().host
    return f"http://{host if host != EVERYWHERE else '127.0.0.1'}:{port}"


def _answer_here(what: str, port: int, path: str, *, gone: str, slow: str = "") -> httpx.Response | str:
    """What a server of ours answers on this machine; a sentence if there is none and need not be: Prefect is elsewhere.

    Args:
        what: its name.
        gone: what its absence means and what to do.
        slow: what its silence means.

    Raises:
        RedriveError: it is silent, or not there.
    """
    url = _here(port)
    try:
        # Proxies of the environment are not asked for a server on this machine.
        with httpx.Client(trust_env=False, timeout=PATIENCE_HERE) as client:
            return client.get(f"{url}{path}")
    except httpx.TimeoutException:
        raise RedriveError(
            f"the {what} at {url} does not answer within {PATIENCE_HERE:g} s{slow}: "
            "`redrive status` shows its process; end one that hangs with `kill -9 PID` and it is started again"
        ) from None
    except httpx.TransportError:
        if settings().external_api_url is not None:
            return f"none on this machine ({url})"
        raise RedriveError(f"nothing answers at {url}{gone}") from None


def _traces() -> str:
    """Only whether they can be sent: who receives them is somebody else's."""
    if why := obstacle():
        raise RedriveError(why)
    return f"sent by {protocol()}; `redrive status` shows what was lost"


def _block(kind: type[Block]) -> str:
    from redrive.blocks.saved import saved  # noqa: PLC0415  (as above)

    block: Any = saved(kind, "default")
    return str(block.check())
