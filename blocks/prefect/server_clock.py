"""The time by the clock of Prefect's server, in which due times and the times of states are told; each of its answers names it.

Clocks of two hosts differ, and one may be stepped by NTP or after a suspension: a worker an hour behind would start nothing that
is due, a keeper an hour ahead would let a rescued job wait for an hour. A step of this machine's clock is noticed at once, by the
kernel's clock that only runs on, and not with the next answer: what a job decides in between would be an hour off.

Danger: a display may use this machine's clock; whatever is compared with a time of the server's, or sent to it, uses this one.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

#: An answer names its second only, and takes a while to come: clocks that differ by less are taken for equal.
TOLERANCE = timedelta(seconds=5)


class ServerClock:
    """How far a server's clock is ahead of this machine's, by its latest answer."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)
        #: This machine's clock when the boot clock read 0, as of the latest answer. A step moves it, a suspension does not.
        self._zero = _zero()

    def observe(self, date: str | None) -> None:
        """Take in the `Date` header of an answer that came just now; anything else is left alone."""
        try:
            answer = parsedate_to_datetime(date) if date else None
        except ValueError:
            return
        if answer is not None and answer.tzinfo is not None:
            # In the middle of the second that it names.
            ahead = answer + timedelta(seconds=0.5) - datetime.now(UTC)
            self._ahead = ahead if abs(ahead) > TOLERANCE else timedelta(0)
            self._zero = _zero()

    @property
    def ahead(self) -> timedelta:
        """0 until an answer or a step of this machine's clock says otherwise."""
        stepped = _zero() - self._zero
        return self._ahead - (stepped if abs(stepped) > TOLERANCE else timedelta(0))

    def now(self) -> datetime:
        """The time by that clock, UTC."""
        return datetime.now(UTC) + self.ahead

    def has_passed(self, span: timedelta, *, since: datetime) -> bool:
        """Whether so much time passed since a moment that the server told.

        A moment that lies in the future was told before the server's clock was put back. How long ago that was nobody knows, and
        to wait until it comes would take as long as the step was wide: it counts as passed.
        """
        age = self.now() - since
        return age > span or age < -TOLERANCE


def _zero() -> datetime:
    return datetime.now(UTC) - timedelta(seconds=time.clock_gettime(time.CLOCK_BOOTTIME))


#: The clock of the API's server, as this process knows it.
SERVER_CLOCK = ServerClock()
