"""The container a job runs in, as data: image, processors, network, folders and environment. Its memory is the job's own limit.

Danger: a folder that is mounted writable, and the network `host`, are ways out of the container.
"""

from __future__ import annotations

import re
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

#: `/on/this/machine:/in/the/container`, and `:ro` if it is not to be written.
_MOUNT = re.compile(r"(/[^:]*|[\w.-]+):(/[^:]*)(:ro|:rw)?")


class Container(BaseModel):
    """What an engine is told of a job's container.

    Args:
        image: with Redrive of the same version and the job's code in it; on the engine, or in a registry it reaches.
        cpus: processors it may use, like 0.5; None for all.
        network: `none`, `host`, `bridge`, or a network of the engine. None: `host` if Prefect's API is on this machine, else `bridge`.
            Without one a job cannot report, so `none` is refused.
        mounts: `/on/the/machine:/in/the/container[:ro]`, or the name of a volume of the engine in front.
        env: its environment, over that of the image. The engine shows it to everybody who may ask: no secrets.
        user: `uid[:gid]` or a name; None for that of the worker.
        writable: whether its own files may be written; else only `/tmp` and what is mounted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    image: str = Field(min_length=1)
    cpus: float | None = Field(None, gt=0)
    network: str | None = None
    mounts: tuple[str, ...] = ()
    env: dict[str, str] = Field(default_factory=dict)
    user: str | None = None
    writable: bool = False

    @model_validator(mode="after")
    def _that_can_work(self) -> Self:
        for mount in self.mounts:
            if not _MOUNT.fullmatch(mount):
                raise ValueError(
                    f"mount {mount!r} must read /on/the/machine:/in/the/container, with :ro if it is not written"
                )
        if self.network == "none":
            raise ValueError(
                "network 'none' cuts a job off from Prefect's API, which it reports to; name one that reaches it"
            )
        return self

    def folders(self) -> list[tuple[str, str, bool]]:
        """Each mount: source, target, and whether it is read-only."""
        return [(source, target, mode == ":ro") for source, target, mode in map(_parts, self.mounts)]


def _parts(mount: str) -> tuple[str, str, str]:
    found = _MOUNT.fullmatch(mount)
    assert found is not None  # noqa: S101  (looked at when it was made)
    return found[1], found[2], found[3] or ""
