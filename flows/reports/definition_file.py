"""A definition's YAML, read within limits: a file of some hundred bytes can otherwise mean gigabytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from redrive.blocks.access.local_files import open_file
from redrive.blocks.core.errors import PermanentError

#: Bytes; the sample has 3,000.
SIZE_LIMIT = 256 * 1024
#: Levels of nesting; a definition has 4, and the parser recurses.
DEPTH_LIMIT = 20
#: Values with all aliases written out; aliases of aliases multiply.
NODES_LIMIT = 20_000
ALIASES_LIMIT = 100


def content(path: str | Path) -> object:
    """What the YAML file holds.

    Raises:
        PermanentError: not there, outside of the folders jobs may read, no YAML, or beyond the limits.
    """
    name = Path(path).name
    try:
        with open_file(path) as file:
            read = file.read(SIZE_LIMIT + 1)
    except PermanentError as error:
        raise PermanentError(f"the report definition {error}") from error
    if len(read) > SIZE_LIMIT:
        raise PermanentError(f"the report definition {name} has more than {SIZE_LIMIT // 1024} KB: it is no definition")
    try:
        text = read.decode("utf-8-sig")
        _refuse_bomb(text, name)
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise PermanentError(
            f"the report definition {name} is no proper YAML: {' '.join(str(error).split())}"
        ) from error


def _refuse_bomb(text: str, name: str) -> None:
    depth = aliases = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        aliases += isinstance(event, yaml.AliasEvent)
        if depth > DEPTH_LIMIT:
            raise PermanentError(f"the report definition {name} is nested deeper than {DEPTH_LIMIT} levels: flatten it")
        if aliases > ALIASES_LIMIT:
            raise PermanentError(f"the report definition {name} has more than {ALIASES_LIMIT} aliases: write them out")
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if root is not None and _expanded(root, {}, name) > NODES_LIMIT:
        raise PermanentError(
            f"the report definition {name} has more than {NODES_LIMIT:,} values with its aliases written out: shorten it"
        )


def _expanded(node: yaml.Node, known: dict[int, int], name: str) -> int:
    """How many values a node means; each is visited once."""
    if id(node) in known:
        if not known[id(node)]:
            raise PermanentError(f"the report definition {name} has an alias that contains itself: write it out")
        return known[id(node)]
    known[id(node)] = 0
    known[id(node)] = 1 + sum(_expanded(part, known, name) for part in _parts(node))
    return known[id(node)]


def _parts(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for pair in node.value:
            yield from pair
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value
