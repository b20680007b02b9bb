"""The lease: how long a worker may be silent before its jobs are reclaimed, counted only while the API itself answered.

After an outage nobody is silent yet: a worker that found the API away waits longer and longer before it asks again, in the
end about as long as the outage was. So that much time passes before silence counts again.

Danger: silence is measured by this keeper's own clock between two polls that both succeeded; a keeper that was just started
knows of no silence yet, so a rescue may come late, never early.
"""

from __future__ import annotations

from collections.abc import Mapping

#: Seconds after which a worker of Prefect's is back from any outage, or ended: it doubles its heartbeat of 30 s three times at
#: most (`critical_service_loop`, with a jitter of 0.3).
LONGEST_BACKOFF = 8 * 30 * 1.3


class HeartbeatTimer:
    """How long each worker has been silent, in seconds of an answering API."""

    def __init__(self) -> None:
        self._signs: dict[str, object] = {}
        self._overdue: dict[str, float] = {}
        self._polled: float | None = None
        self._answered: float | None = None
        self._missed = False
        self._counts_from = float("-inf")

    def answered(self, *, now: float, longest_gap: float) -> None:
        """The API answered a question of this keeper, whatever it was: until now both were there, however long a sweep takes.

        Args:
            now: this machine's monotonic clock, seconds.
            longest_gap: two answers further apart than this say nothing: the keeper itself was stopped or cut off.
        """
        elapsed = 0.0 if self._answered is None else now - self._answered
        if self._missed or elapsed > longest_gap:
            self._counts_from = max(self._counts_from, now + min(elapsed, LONGEST_BACKOFF))
        self._answered = now if self._answered is None else max(now, self._answered)
        self._missed = False

    def sample(self, signs: Mapping[str, object], *, now: float, longest_gap: float) -> None:
        """A successful look at the API.

        Args:
            signs: per worker (or run), what changes while it lives: its last heartbeat.
            now: this machine's monotonic clock, seconds.
            longest_gap: as for `answered`.
        """
        self.answered(now=now, longest_gap=longest_gap)
        counted = 0.0 if self._polled is None else max(0.0, now - max(self._polled, self._counts_from))
        self._polled = now
        for name, sign in signs.items():
            same = name in self._signs and self._signs[name] == sign
            self._overdue[name] = self._overdue.get(name, 0.0) + counted if same else 0.0
        self._signs = dict(signs)
        self._overdue = {name: self._overdue[name] for name in signs}

    def missed(self) -> None:
        """The API did not answer: the time until the next poll does not count, nor as much again."""
        self._missed = True

    def of(self, name: str) -> float:
        """Seconds; 0 for one that was never looked at."""
        return self._overdue.get(name, 0.0)
