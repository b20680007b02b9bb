"""JSON of stored results: `dumps` and `loads` for Prefect's JSON serializer, each result as the one item of a list.

Prefect 3.8.8 takes a stored object with the key `data` or `result` for a record of an earlier version and hands back only what is
under that key (`ResultRecord.coerce_old_format`): `{"data": 1}` would come back as 1, and a pydantic model as a dict. A list is
never taken for one.

Danger: the name of this module is kept with every stored result. Moved, no result could be read.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


def dumps(value: Any, *, default: Callable[[Any], Any] | None = None) -> str:
    """JSON of it; `default` encodes what JSON does not know.

    Raises:
        TypeError, ValueError: it cannot be JSON.
    """
    return json.dumps([value], default=default)


def loads(text: str, *, object_hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """What was given to `dumps`; `object_hook` decodes objects.

    Raises:
        ValueError: it was not written by `dumps`.
    """
    (value,) = json.loads(text, object_hook=object_hook)
    return value
