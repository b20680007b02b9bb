"""Dead letters as events of Sentry (or GlitchTip): one for each death, with our fingerprint and a link back. Off without `SENTRY_DSN`.

The keeper reports, because it alone sees every death once, however the job ended.

Danger: the SDK sends from a thread with a queue of a hundred events and drops what is beyond. The ledger is the record, not Sentry.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from redrive.blocks.core.settings import settings
from redrive.blocks.tracing.hidden import Hidden
from redrive.deployments.dead_letters.ledger import Death, Outcome, Recorded

log = logging.getLogger("redrive.keeper")

#: Characters of a message that Sentry takes.
MESSAGE_LIMIT = 8_192
#: Frames of a traceback that Sentry shows.
FRAMES = 100

_FRAME = re.compile(
    r'^ *File "(?P<file>[^"\n]+)", line (?P<line>\d+), in (?P<function>.+)\n(?: {4,}(?P<code>(?!File ").+)\n)?',
    re.MULTILINE,
)
_LIBRARY = re.compile(r"[\\/](?:site-packages|dist-packages|lib[\\/]python\d[\d.]*)[\\/]")


def report(deaths: Iterable[Death], rows: Sequence[Recorded]) -> None:
    """Report each death whose row is new or was reopened; nothing without `SENTRY_DSN`. Never raises."""
    if not os.environ.get("SENTRY_DSN"):
        return
    new = {row.dead_state_id: row for row in rows if row.outcome is not Outcome.KNOWN}
    try:
        if not new or not _is_ready():
            return
        import sentry_sdk  # noqa: PLC0415  (only where somebody wants it)

        for death in deaths:
            if row := new.get(death.dead_state_id):
                sentry_sdk.capture_event(event(death, row))  # type: ignore[arg-type]  # the SDK's own type of an event is partial
    except Exception:  # the ledger has the dead letter; a tool that shows it too must not keep the keeper
        log.warning("dead letters could not be reported to Sentry", exc_info=True)


def event(death: Death, row: Recorded, environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What Sentry is told of a death; values of the job's parameters and secrets are hidden as they are in traces."""
    hidden = Hidden.of_job(death.parameters, environ, allowed=frozenset(settings().trace_parameters))
    known = {
        "id": str(death.run_id),
        "name": death.run_name,
        "tries": death.tries,
        "crashes": death.crashes,
        "reason": death.reason,
        "step": death.step,
        "link": settings().console_job_url(death.run_id),
        "dead letter": str(row.id) if row.id else None,
    }
    trace = {"trace_id": death.trace_id, "span_id": death.trace_id[:16], "op": "process"} if death.trace_id else None
    return {
        # The same death reported twice, after a restart for one, is one event.
        "event_id": death.dead_state_id.hex,
        "timestamp": death.last_failure.isoformat(),
        "level": "error",
        "logger": "redrive",
        "platform": "python",
        "transaction": death.job,
        "fingerprint": [row.fingerprint],
        "tags": {
            name: value
            for name, value in {
                "job": death.job,
                "queue": death.queue,
                "reason": death.reason,
                "worker": death.worker,
                "fingerprint": row.fingerprint,
            }.items()
            if value
        },
        "contexts": {"job": known, **({"trace": trace} if trace else {})},
        "exception": {
            "values": [
                {
                    "type": death.error_type,
                    "value": hidden.text(death.message, limit=MESSAGE_LIMIT),
                    "mechanism": {"type": "redrive", "handled": False},
                    "stacktrace": {"frames": list(_frames(death.traceback or "", hidden))},
                }
            ]
        },
    }


def _frames(traceback: str, hidden: Hidden) -> Iterable[dict[str, Any]]:
    # Of a chain the last traceback, which belongs to the error that is named.
    final = traceback.rpartition("Traceback (most recent call last):")[2]
    for found in list(_FRAME.finditer(final))[-FRAMES:]:
        yield {
            "filename": found["file"],
            "abs_path": found["file"],
            "lineno": int(found["line"]),
            "function": found["function"],
            "context_line": hidden.text((found["code"] or "").strip()),
            "in_app": not _LIBRARY.search(found["file"]),
        }


@cache
def _is_ready() -> bool:
    if find_spec("sentry_sdk") is None:
        log.warning("SENTRY_DSN is given, but sentry_sdk is not installed: pip install 'redrive[sentry]'")
        return False
    import sentry_sdk  # noqa: PLC0415  (as above)

    sentry_sdk.init(
        release=os.environ.get("SENTRY_RELEASE") or f"redrive@{version('redrive')}",
        # Nothing of this process is reported by itself: only what `event` makes.
        default_integrations=False,
        auto_enabling_integrations=False,
        send_default_pii=False,
        include_local_variables=False,
        server_name="",
    )
    return True
