"""The files inside of a document, kept under numbers in the answer."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from redrive.flows.documents.answer import Answer
from redrive.flows.documents.budget import Budget
from redrive.flows.documents.one_line import line


@dataclass
class Attachments:
    """Fills while a document is read."""

    answer: Answer
    budget: Budget
    kept: list[dict[str, Any]] = field(default_factory=list)

    def keep(self, name: object, mime: str, content: bytes) -> None:
        """Keep one, if the budget allows it; notes it if not."""
        if not self.budget.takes_attachment(len(content)):
            return
        number = len(self.kept) + 1
        self.kept.append(
            {
                "number": number,
                "name": line(name) or f"attachment-{number}",
                "mime": line(mime) or "application/octet-stream",
                "begin": self.answer.add(content),
                "size": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
        )

    @property
    def listed(self) -> str:
        """All of them, for the end of the text; empty if there are none."""
        lines = [f"- {one['name']} ({one['mime']}, {one['size']:,} bytes)" for one in self.kept]
        return "\n".join(["Attachments:", *lines]) if lines else ""
