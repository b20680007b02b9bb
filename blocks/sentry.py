"""Failures as events of Sentry (or GlitchTip), with our fingerprint and a link back. Off without `SENTRY_DSN`.

Danger: the SDK sends from a thread with a queue of a hundred events and drops what is beyond. The ledger is the record, not Sentry.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, Literal

from redrive.blocks.core.settings import settings
from redrive.blocks.tracing.hidden import Hidden

log = logging.getLogger("redrive.sentry")

#: Characters of a message that Sentry takes.
MESSAGE_LIMIT = 8_192
#: Frames of a traceback that Sentry shows.
FRAMES = 100

_FRAME = re.compile(
    r'^ *File "(?P<file>[^"\n]+)", line (?P<line>\d+), in (?P<function>.+)\n(?: {4,}(?P<code>(?!File ").+)\n)?',
    re.MULTILINE,
)
_LIBRARY = re.compile(r"[\\/](?:site-packages|dist-packages|lib[\\/]python\d[\d.]*)[\\/]")


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What failed: a dead letter (`error`), or a try that another one follows (`warning`). `id` is the same if it is told of twice."""

    id: str
    level: Literal["error", "warning"]
    at: datetime
    run_id: object
    run_name: str
    job: str
    queue: str
    error_type: str
    message: str
    traceback: str
    fingerprint: str
    tries: int
    crashes: int
    parameters: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    step: str | None = None
    worker: str | None = None
    trace_id: str | None = None
    dead_letter: str | None = None


def is_asked_for() -> bool:
    """Whether somebody wants to be told of dead letters."""
    return bool(os.environ.get("SENTRY_DSN"))


def tries_are_asked_for() -> bool:
    """Whether of each failed try as well."""
    return is_asked_for() and settings().sentry_tries


def event(failure: Failure, environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What Sentry is told; values of the job's parameters and secrets are hidden as they are in traces."""
    hidden = Hidden.of_job(failure.parameters, environ, allowed=frozenset(settings().trace_parameters))
    known = {
        "id": str(failure.run_id),
        "name": failure.run_name,
        "tries": failure.tries,
        "crashes": failure.crashes,
        "reason": failure.reason,
        "step": failure.step,
        "link": settings().console_job_url(failure.run_id),
        "dead letter": failure.dead_letter,
    }
    trace_id = failure.trace_id
    trace = {"trace_id": trace_id, "span_id": trace_id[:16], "op": "process"} if trace_id else None
    tags = {
        "job": failure.job,
        "queue": failure.queue,
        "reason": failure.reason,
        "worker": failure.worker,
        "fingerprint": failure.fingerprint,
    }
    return {
        # The same failure reported twice, after a restart for one, is one event.
        "event_id": failure.id,
        "timestamp": failure.at.isoformat(),
        "level": failure.level,
        "logger": "redrive",
        "platform": "python",
        "transaction": failure.job,
        "fingerprint": [failure.fingerprint],
        "tags": {name: value for name, value in tags.items() if value},
        "contexts": {"job": known, **({"trace": trace} if trace else {})},
        "exception": {
            "values": [
                {
                    "type": failure.error_type,
                    "value": hidden.text(failure.message, limit=MESSAGE_LIMIT),
                    "mechanism": {"type": "redrive", "handled": failure.level == "warning"},
                    "stacktrace": {"frames": list(_frames(failure.traceback, hidden))},
                }
            ]
        },
    }


def send(events: Iterable[dict[str, Any]]) -> None:
    """Tell Sentry. Never raises: a tool that shows failures too must not keep who reports them."""
    try:
        if not is_asked_for() or not _is_ready():
            return
        import sentry_sdk  # noqa: PLC0415  (only where somebody wants it)

        for one in events:
            sentry_sdk.capture_event(one)  # type: ignore[arg-type]  # the SDK's own type of an event is partial
    except Exception:  # as above
        log.warning("failures could not be reported to Sentry", exc_info=True)


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
