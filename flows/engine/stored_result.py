"""Results of jobs and steps as they are stored: JSON, unless a job or a step chose another serializer by name.

Pickle runs what it reads, so whoever may write to the result storage could run code in every worker and in every command that
shows a result. JSON needs no trust. What earlier versions stored as pickle is still read: each stored result names its serializer.

Danger: checked after the work was done, as there is no result before. Left to Prefect, a result that cannot be stored is a line
in the log: the step would run again in every attempt, and the job would end Completed without what it was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import GeneratorType
from typing import Any

from prefect.client.schemas.objects import State
from prefect.context import TaskRunContext
from prefect.futures import PrefectFuture
from prefect.results import resolve_serializer
from prefect.serializers import JSONSerializer, Serializer

from redrive.blocks.core.errors import PermanentError

#: What results are stored with, if a job says nothing else. Steps follow their job.
SERIALIZER: JSONSerializer[Any] = JSONSerializer(jsonlib="redrive.stored_json")
# What a first use loads is loaded here, and so in the process that others are forked from: the first job of each need not wait for it
# between its return and the note of its end.
SERIALIZER.loads(SERIALIZER.dumps(None))

#: What Prefect resolves itself before it stores anything.
_PREFECTS = (State, PrefectFuture, GeneratorType)
#: Levels of lists and dicts that are compared one by one; what lies deeper is compared as a whole.
_DEEPEST = 50


def require_step_result(value: Any) -> None:
    """Raises `PermanentError` if what a step returned cannot be stored as it is."""
    context = TaskRunContext.get()
    if context is not None and context.persist_result:
        as_bytes(value, context.result_store.serializer, f"step {context.task.name!r}", "@step")


def as_stored(value: Any, serializer: Any, who: str, decorator: str) -> Any:
    """What would come back of a result.

    Args:
        value: the result.
        serializer: as a decorator takes it; what results are stored with if None.
        who: returned it, for the message.
        decorator: that chooses another serializer.

    Raises:
        PermanentError: it cannot be stored as it is.
    """
    chosen = resolve_serializer(serializer) if serializer is not None else SERIALIZER
    as_bytes(value, chosen, who, decorator)
    return chosen.loads(chosen.dumps(value))


def as_bytes(value: Any, serializer: Serializer[Any], who: str, decorator: str) -> bytes | None:
    """A result as it is stored; None for one that cannot be and that Prefect resolves first.

    Args:
        who: returned it, for the message.
        decorator: that chooses another serializer.

    Raises:
        PermanentError: it cannot be stored as it is.
    """
    if isinstance(value, _PREFECTS):
        return None
    try:
        stored = serializer.dumps(value)
        why = difference(value, serializer.loads(stored)) if isinstance(serializer, JSONSerializer) else None
    except Exception as error:  # noqa: BLE001  (a serializer and the classes of a result may raise anything)
        if has_prefects(value):
            return None
        why = f"{type(error).__name__}: {error}".splitlines()[0]
    else:
        if why is None:
            return stored
        if has_prefects(value):
            return None
    name = "JSON" if isinstance(serializer, JSONSerializer) else serializer.type
    raise PermanentError(
        f"{who} did its work, but its result cannot be stored as {name} ({why}): return numbers, text, lists, dicts with text "
        f"as keys, or pydantic models, or choose {decorator}(…, result_serializer='pickle')"
    )


def difference(value: Any, again: Any, *, at: str = "result", depth: int = 0) -> str | None:
    """What is not as it was once a value came back from JSON; None if it can stand in for the first one.

    A tuple comes back as a list, which everything but its own type takes for the same.
    """
    if depth < _DEEPEST:
        if type(value) in {list, tuple} and isinstance(again, list):
            pairs = enumerate(zip(value, again, strict=True))
            return _first(difference(old, new, at=f"{at}[{n}]", depth=depth + 1) for n, (old, new) in pairs)
        if type(value) is dict and type(again) is dict:
            return _first(_in_item(value, again, key, at, depth) for key in value)
    if type(value) is not type(again):
        return f"{at} is of type {type(value).__qualname__} and would come back as {type(again).__qualname__}"
    return None if _equal(value, again) else f"{at} is of type {type(value).__qualname__} and would come back changed"


def _in_item(value: dict[Any, Any], again: dict[Any, Any], key: object, at: str, depth: int) -> str | None:
    if not isinstance(key, str):
        return f"the key {key!r} of {at} is no text"
    return difference(value[key], again[key], at=f"{at}[{key!r}]", depth=depth + 1)


def _equal(value: Any, again: Any) -> bool:
    if value == again or (value != value and again != again):  # noqa: PLR0124  (not a number)
        return True
    compared: Any = type(value).__eq__
    return compared is object.__eq__ and _fields(value) == _fields(again)


def has_prefects(value: Any, depth: int = 0) -> bool:
    """Whether states or futures stand in a result, for Prefect to resolve."""
    if isinstance(value, _PREFECTS):
        return True
    if depth >= _DEEPEST:
        return False
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple | set) else ()
    return any(has_prefects(one, depth + 1) for one in inside)


def _first(found: Any) -> str | None:
    return next((one for one in found if one is not None), None)


def _fields(value: Any) -> Any:
    return getattr(value, "__dict__", None)
