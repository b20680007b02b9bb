"""The reference: what must become of a job, in a hundred lines that know nothing of Prefect, of the ledger or of time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

State = Literal["waiting", "running", "lost", "crashed", "dead", "completed", "cancelled", "replaced", "given up"]
Row = Literal["open", "redriven", "resolved", "discarded"]

#: As the policy of the job type says: crashes after which a job starts again.
MAX_CRASHES = 1


@dataclass(eq=False)
class Job:
    """One accepted job. `row` is its dead letter's status once the keeper had the time to see everything."""

    number: int
    state: State = "waiting"
    row: Row | None = None
    crashes: int = 0
    deaths: int = 0
    #: Deaths that a person undid in Prefect before the keeper could see them: they may have a row or not.
    unseen: int = 0
    pruned: bool = False
    #: The dead job this one runs instead of: its outcome decides over that one's row.
    replaces: Job | None = None
    story: list[str] = field(default_factory=list)

    @property
    def live(self) -> bool:
        return not self.pruned

    def start(self) -> None:
        assert self.state == "waiting"
        self.state = "running"

    def complete(self) -> None:
        assert self.state == "running"
        self.state = "completed"

    def fail(self) -> None:
        """Its tries are spent."""
        assert self.state == "running"
        self.die()

    def wait(self) -> None:
        """A try failed, and another one follows later."""
        assert self.state == "running"
        self.state = "waiting"

    def die(self) -> None:
        self.state = "dead"
        self.deaths += 1

    def again(self) -> None:
        """Redriven: everything counts afresh."""
        self.state = "waiting"
        self.crashes = 0

    def retried_in_prefect(self) -> None:
        """Somebody pressed Retry; the row, if there is one, follows when the keeper looks."""
        if self.state == "dead" and self.row != "open":
            self.unseen += 1
        self.again()

    def cancel(self) -> None:
        assert self.state in {"waiting", "running"}
        self.state = "cancelled"

    def settle(self) -> None:
        """The keeper did all its duties, and the lease of every lost worker is over."""
        if self.state in {"lost", "crashed"}:
            self.crashes += 1
            if self.crashes > MAX_CRASHES:
                self.die()
            else:
                self.state = "waiting"
        if self.state == "dead":
            self.row = "open"
            self.unseen = 0
        elif self.row in {"open", "redriven"}:
            self.row = self._followed()

    def follow(self, replacement: Job) -> None:
        """Its row follows the job that runs instead of it."""
        if self.row == "redriven" and replacement.state in {"completed", "cancelled"}:
            self.row = "resolved" if replacement.state == "completed" else "discarded"

    def _followed(self) -> Row:
        if self.state == "completed":
            return "resolved"
        return "discarded" if self.state == "cancelled" else "redriven"

    def prune(self) -> None:
        """Everything that is over and settled goes, closed rows too; what a person must still see stays."""
        if self.state in {"completed", "cancelled", "given up", "replaced"} and self.row not in {"open", "redriven"}:
            self.pruned = True
