"""How much of the suite runs: the quick tests always; those marked `slow` or `soak` when they are asked for.

`make test` leaves both out, `make test-all` takes the slow ones too, `make soak` the soak tests. A slow test whose file is named on
the command line runs as well.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

#: Marks of what is left out unless `-m` names it, and the command that runs it.
COMMANDS = {"soak": "make soak", "slow": "make test-all"}
#: How many of each were left out.
LEFT = pytest.StashKey[Counter[str]]()


def leave_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take those from the list that nobody asked for."""
    wanted = str(config.getoption("-m"))
    named = {path.resolve() for argument in config.args if (path := Path(argument.partition("::")[0])).is_file()}
    left = [
        item
        for item in items
        if (tier := tier_of(item)) and tier not in wanted and not (tier == "slow" and item.path in named)
    ]
    if left:
        config.stash[LEFT] = Counter(tier for item in left if (tier := tier_of(item)))
        config.hook.pytest_deselected(items=left)
        gone = set(left)
        items[:] = [item for item in items if item not in gone]


def tier_of(item: pytest.Item) -> str | None:
    """The first mark of `COMMANDS` that the test carries."""
    return next((mark for mark in COMMANDS if item.get_closest_marker(mark)), None)


def told(left: Counter[str]) -> str:
    """One line on what did not run, and how it is run."""
    return "left out: " + ", ".join(
        f"{left[tier]} {tier} tests ({command})" for tier, command in COMMANDS.items() if left[tier]
    )
