"""A person and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from redrive.blocks.core.errors import ParameterError
from redrive.blocks.core.nearest import unknown

#: Each may do what those before it may: look; act on jobs, failures and queues; change parameters and policies.
Role = Literal["viewer", "operator", "editor"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)

#: Characters of a name.
NAME_LIMIT: Final = 80


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody who is signed in, or may sign in."""

    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Whether they may do what takes this role."""
        return ROLES.index(self.role) >= ROLES.index(role)


def checked_name(name: str) -> str:
    """The name as it is kept.

    Raises:
        ParameterError: it is empty, too long, or holds what no name holds.
    """
    name = name.strip()
    if not name or len(name) > NAME_LIMIT or not name.isprintable():
        raise ParameterError(f"{name!r} is no name: it has 1 to {NAME_LIMIT} printable characters")
    return name


def checked_role(role: str) -> Role:
    """The role of that name.

    Raises:
        ParameterError: there is none; with the nearest.
    """
    for known in ROLES:
        if role == known:
            return known
    raise ParameterError(unknown("role", role, ROLES))
