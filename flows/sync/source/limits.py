"""How much a source may send, and for how long."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Limits(BaseModel):
    """What a sync takes from an HTTP source before it gives up; all pages together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    megabytes: float = Field(2048, gt=0, description="Size of the answers, as they arrive and unpacked.")
    seconds: float = Field(
        300, gt=0, description="Time until the last byte; less than the timeout of the job's policy."
    )
    pages: int = Field(1000, ge=1, description="Pages that are followed.")

    @property
    def size(self) -> int:
        """In bytes."""
        return int(self.megabytes * 1024**2)
