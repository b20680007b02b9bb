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

#: Clocks that differ by less are taken for equal.
TOLERANCE = timedelta(seconds=5)
#: An answer names no more than the second, and Prefect's server works out once a second which one that is: so far past it is at most,
#: if that server is not busy.
SPREAD = timedelta(seconds=2)


class ServerClock:
    """How far a server's clock is ahead of this machine's, by its answers.

    What it tells is never ahead of that clock, and as far behind as the freshest answer was: at most `SPREAD` after a step of
    either clock, and less with each answer.
    """

    def __init__(self) -> None:
        #: At least so far ahead; and this machine's clock when the boot clock read 0, as of the answer that told it. A step of this
        #: machine's clock moves that, a suspension does not.
        self._least = (timedelta(0), _zero())

    def observe(self, date: str | None) -> None:
        """Take in the `Date` header of an answer that came just now; anything else is left alone."""
        try:
            answer = parsedate_to_datetime(date) if date else None
        except ValueError:
            return
        if answer is not None and answer.tzinfo is not None:
            least = answer - datetime.now(UTC)
            # One that names a second further in the past than others did is only older.
            if not least <= self._known() <= least + SPREAD:
                self._least = (least, _zero())

    @property
    def ahead(self) -> timedelta:
        """0 until an answer or a step of this machine's clock says otherwise."""
        known = self._known()
        return known if abs(known) > TOLERANCE else timedelta(0)

    def _known(self) -> timedelta:
        least, zero = self._least
        return least - (_zero() - zero)

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
