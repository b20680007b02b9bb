"""What a job handed back, read through Prefect from where it is kept.

Danger: results live where the workers keep them, which may be another host, and may need the job's own code to be read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redrive.blocks.core.masking import mask, mask_text
from redrive.blocks.prefect.client import prefect_settings
from redrive.blocks.prefect.states import COMPLETED, PastState

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State


@dataclass(frozen=True, kw_only=True)
class Result:
    """`value` is what it handed back; `unreadable` says why there is none."""

    value: Any = None
    unreadable: str | None = None


def result_of(state: PastState | State[Any] | None) -> Result | None:
    """The result of a job that completed; None for any other. Secrets in it are masked."""
    if state is None or state.type != COMPLETED:
        return None
    try:
        value = stored_result(state)
    except Exception as error:  # noqa: BLE001  (a store, a serializer and the job's own classes may raise anything)
        detail = (str(error).splitlines() or [""])[0]
        return Result(unreadable=mask_text(f"{type(error).__name__}: {detail}"))
    return Result(value=value if hasattr(value, "summary") else mask(value))


def stored_result(state: PastState | State[Any]) -> Any:
    """What a job that completed handed back, as it is.

    Raises:
        Exception: a store, a serializer and the job's own classes may raise anything.
    """
    from prefect.client.schemas.objects import State  # noqa: PLC0415  (two seconds that only a job with a result costs)

    found: State[Any] = State.model_validate(state.raw) if isinstance(state, PastState) else state
    with prefect_settings():
        return found.result(raise_on_failure=False, retry_result_failure=False)
