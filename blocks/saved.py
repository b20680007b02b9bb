"""Blocks by name: what is saved in Prefect, of the class one expects, or one clear sentence.

Danger: `Block.load` answers a missing block, a missing block type and a wrong name all with ValueError.
"""

from __future__ import annotations

from typing import TypeVar

from prefect.blocks.core import Block

from redrive.blocks.core.errors import PermanentError

B = TypeVar("B", bound=Block)


def saved(kind: type[B], name: str) -> B:
    """The block of that class and name.

    Raises:
        PermanentError: there is none.
    """
    try:
        return kind.load(name)  # type: ignore[return-value]  # typed as "or a coroutine", which it is only inside a running loop
    except ValueError as error:
        raise PermanentError(
            f"there is no {kind.get_block_type_name()} block named {name!r}: make one in Prefect under Blocks, or run"
            " `redrive up` for the default ones"
        ) from error
