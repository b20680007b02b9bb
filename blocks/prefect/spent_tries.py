"""Tries that were spent: one count for all steps that follow the job's policy, one for each step that has its own.

Danger: `redrive.tries` is what people see; where there are counts apart, they hold, and the shared one stands among them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from redrive.blocks.prefect.labels import OWN_TRIES, TRIES, Labels, count

#: Name of the shared count among the others.
_SHARED = ""


@dataclass(frozen=True)
class SpentTries:
    """Tries that earlier attempts spent. `own` is by name of the step."""

    shared: int = 0
    own: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, labels: Mapping[str, Any]) -> SpentTries:
        """As the labels of a run say."""
        try:
            apart = json.loads(str(labels.get(OWN_TRIES) or "{}"))
            own = {str(name): count(tries) for name, tries in apart.items()}
        except (ValueError, AttributeError):
            own = {}
        return cls(own.pop(_SHARED, count(labels.get(TRIES))), own)

    @classmethod
    def of_run(cls, labels: Labels) -> SpentTries:
        """As the labels of a run that was read say."""
        return cls.of({TRIES: labels.tries, OWN_TRIES: labels.own_tries})

    def of_step(self, own: str | None) -> int:
        """Tries of one step.

        Args:
            own: its name if it has a policy of its own, else None.
        """
        return self.own.get(own, 0) if own else self.shared

    def with_(self, shared: Mapping[str, int], own: Mapping[str, int]) -> SpentTries:
        """With what steps spent since, if that is more."""
        apart = {name: max(self.of_step(name), own.get(name, 0)) for name in {*self.own, *own}}
        return SpentTries(max(self.shared, *shared.values(), 0), apart)

    def labels(self, own: str | None = None, tries: int | None = None) -> dict[str, Any]:
        """The labels that say so.

        Args:
            own: a step with a policy of its own that has just failed; None for any other.
            tries: of what has just failed; nothing did if None.
        """
        now = self
        if tries is not None:
            now = SpentTries(self.shared, {**self.own, own: tries}) if own else SpentTries(tries, self.own)
        labels: dict[str, Any] = {TRIES: max(now.shared, *now.own.values(), 0) if tries is None else tries}
        if now.own:
            labels[OWN_TRIES] = json.dumps({_SHARED: now.shared, **now.own})
        return labels
