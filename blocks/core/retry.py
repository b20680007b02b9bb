"""The retry policy: one value that says how often, how fast and how long a failing job is tried again.

Danger: Prefect's own jitter (`retry_jitter_factor`) is drawn by Prefect for waits in the process; ours, for waits outside
it, is `RetryPolicy.delay`. Both keep a delay within `delay · (1 ± jitter)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypedDict, Unpack

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from redrive.blocks.core.errors import PermanentError, PolicyError
from redrive.blocks.core.first_fault import first_fault

#: Prefect keeps at most this many delays on a task; more tries repeat the last one.
PREFECT_DELAY_LIMIT = 50

#: A policy with more tries than this is a loop, not a policy; ask for `retry_until` instead.
MAX_TRIES_LIMIT = 1000


class Exponential(BaseModel):
    """`base · factor^n`, at most `cap`; seconds, n counted from 0."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["exponential"] = "exponential"
    base: float = Field(1, gt=0, description="First delay in seconds.")
    factor: float = Field(2, ge=1, description="Each delay is this many times the one before.")
    cap: float = Field(3600, gt=0, description="No delay is longer, in seconds.")

    def delay(self, failed: int) -> float:
        # Large exponents overflow a float long after they passed any cap.
        try:
            return min(self.cap, self.base * self.factor ** (failed - 1))
        except OverflowError:
            return self.cap


def exponential(base: float = 1, factor: float = 2, cap: float = 3600) -> Exponential:
    """Delays `base, base·factor, base·factor², …`, none longer than `cap`; seconds.

    Raises:
        PolicyError: a value that cannot work.
    """
    try:
        return Exponential(base=base, factor=factor, cap=cap)
    except ValidationError as error:
        raise PolicyError(_one_sentence(error)) from None


def _as_tuple(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (float(value),)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(value)
    return value


Delays = Annotated[tuple[float, ...], BeforeValidator(_as_tuple)]


class PolicyFields(TypedDict, total=False):
    """What may be given for a `RetryPolicy`, here and on the decorators `job` and `step`: wider than what is kept."""

    max_tries: int
    backoff: float | Sequence[float] | Exponential
    jitter: float
    timeout: float | None
    retry_until: float | None
    max_crashes: int
    hold_slot: float
    never_on: str | type[BaseException] | Sequence[str | type[BaseException]]


class RetryPolicy(BaseModel):
    """How often, how fast and how long a failing job is tried again. All times are seconds.

    Raises:
        PolicyError: a policy that cannot work; the message says what to change.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_tries: int = Field(3, description="How often a failing step is executed at most, the first time included.")
    backoff: Delays | Exponential = Field(
        (1.0, 5.0, 10.0), description="Delay before each further try; the last repeats."
    )
    jitter: float = Field(0.2, description="Each delay is drawn from delay·(1 ± jitter); 0 to 1.")
    timeout: float | None = Field(60, description="How long one try of one step may take.")
    retry_until: float | None = Field(600, description="No try begins later than this after the job's first start.")
    max_crashes: int = Field(2, description="How often a job whose process died is started again.")
    hold_slot: float = Field(
        2, description="A wait up to this long happens in the process; a longer one frees the slot."
    )
    never_on: tuple[str, ...] = Field(
        (), description="Error class names that are permanent: `ValueError`, `pkg.Error`."
    )

    if TYPE_CHECKING:

        def __init__(self, **fields: Unpack[PolicyFields]) -> None: ...

    else:

        def __init__(self, **values: Any) -> None:
            try:
                super().__init__(**values)
            except ValidationError as error:
                raise PolicyError(_one_sentence(error)) from None

    @model_validator(mode="before")
    @classmethod
    def _names_of_errors(cls, values: Any) -> Any:
        if isinstance(values, dict) and "never_on" in values:
            given = values["never_on"]
            given = [given] if isinstance(given, str | type) else list(given)
            values = {**values, "never_on": tuple(e.__qualname__ if isinstance(e, type) else e for e in given)}
        return values

    @field_validator("backoff")
    @classmethod
    def _delays_can_work(cls, value: tuple[float, ...] | Exponential) -> tuple[float, ...] | Exponential:
        if isinstance(value, Exponential):
            return value
        if not value:
            raise ValueError("backoff=[] cannot work: give at least one delay, 0 for none")
        if wrong := [delay for delay in value if not 0 <= delay < float("inf")]:
            raise ValueError(f"backoff has the delay {wrong[0]:g}: delays are seconds, 0 or more")
        return value

    @model_validator(mode="after")
    def _can_work(self) -> Self:
        if not 1 <= self.max_tries <= MAX_TRIES_LIMIT:
            raise ValueError(
                f"max_tries={self.max_tries} cannot work: give 1 (no retry) to {MAX_TRIES_LIMIT}, the first try included"
            )
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter={self.jitter:g} cannot work: give 0 (none) to 1 (up to double)")
        for name in ("timeout", "retry_until"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name}={value:g} cannot work: give seconds greater than 0, or none for no limit")
        for name in ("max_crashes", "hold_slot"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}={getattr(self, name):g} cannot work: give 0 or more")
        if self.retry_until is not None and self.max_tries > 1 and self.retry_until < self.base_delay(1):
            raise ValueError(
                f"retry_until={self.retry_until:g} is shorter than the first delay of {self.base_delay(1):g} s, so no retry "
                "could ever happen: make retry_until longer, the delay shorter, or max_tries 1"
            )
        return self

    # Decisions: pure functions of what is given

    def base_delay(self, failed: int) -> float:
        """Seconds to wait after the `failed`-th failed try (1, 2, …), before jitter."""
        if isinstance(self.backoff, Exponential):
            return self.backoff.delay(failed)
        return self.backoff[min(failed, len(self.backoff)) - 1]

    def delay(self, failed: int, draw: float) -> float:
        """`base_delay` with jitter; `draw` is a random number in [0, 1)."""
        return self.base_delay(failed) * (1 + self.jitter * (2 * draw - 1))

    def is_permanent(self, error: BaseException) -> bool:
        """Whether trying again cannot help: a `PermanentError`, or a class this policy lists by name."""
        if isinstance(error, PermanentError):
            return True
        names = {n for c in type(error).__mro__ for n in (c.__qualname__, f"{c.__module__}.{c.__qualname__}")}
        return not names.isdisjoint(self.never_on)

    def past_deadline(self, *, first_start: datetime, at: datetime) -> bool:
        """Whether a try at `at` would begin after `retry_until`."""
        return self.retry_until is not None and at > first_start + timedelta(seconds=self.retry_until)

    def task_options(self, *, spent: int = 0) -> dict[str, Any]:
        """Options for Prefect's `@task`, with `spent` tries already used by earlier attempts of the same job."""
        retries = max(0, self.max_tries - spent - 1)
        delays = [self.base_delay(spent + n) for n in range(1, min(retries, PREFECT_DELAY_LIMIT) + 1)]
        return {
            "retries": retries,
            "retry_delay_seconds": delays,
            "retry_jitter_factor": self.jitter or None,
            "timeout_seconds": self.timeout,
        }


def _one_sentence(error: ValidationError) -> str:
    return first_fault(error, RetryPolicy.model_fields, what="a retry policy")
