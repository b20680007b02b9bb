"""A request to Prefect's API as a value: what is asked, and how its answer is read. Who sends it decides how long it waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast
from urllib.parse import quote

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

Json = dict[str, Any]
Method = Literal["GET", "POST", "PATCH", "DELETE"]


@dataclass(frozen=True, kw_only=True)
class Request(Generic[T]):
    """One call. `path` is complete; `read` turns the answer's JSON into a value."""

    method: Method
    path: str
    read: Callable[[Any], T]
    body: Any = None
    params: Mapping[str, str] = field(default_factory=dict)
    #: Whether "not found" is an answer, which is None, and no error.
    is_optional: bool = False

    def or_none(self) -> Request[T | None]:
        """The same call, where "not found" is an answer."""
        return cast("Request[T | None]", replace(self, is_optional=True))

    def arguments(self) -> dict[str, Any]:
        """What httpx is to send beside method and path."""
        found: dict[str, Any] = {}
        if self.body is not None:
            found["json"] = self.body
        if self.params:
            found["params"] = dict(self.params)
        return found

    def answered(self, answer: httpx.Response) -> T:
        """What an answer says.

        Raises:
            httpx.HTTPStatusError: it is a refusal; "not found" only where it is no answer.
        """
        import httpx  # noqa: PLC0415  (whoever sends has it; states and requests are read by others too, who need not wait for it)

        try:
            answer.raise_for_status()
        except httpx.HTTPStatusError as error:
            return self.absent(error)
        return self.value(answer)

    def value(self, answer: httpx.Response) -> T:
        """What a successful answer says."""
        return self.read(None if self.read is nothing or not answer.content else answer.json())

    def absent(self, error: httpx.HTTPStatusError) -> T:
        """What "not found" says; raises any other error, and that one too where it is no answer."""
        if self.is_optional and error.response.status_code == HTTPStatus.NOT_FOUND:
            return cast("T", None)
        raise error


def part(value: object) -> str:
    """A value as one part of a path."""
    return quote(str(value), safe="")


def as_json(answer: Any) -> Any:
    """Reads an answer that is only passed on."""
    return answer


def nothing(_answer: Any) -> None:
    """Reads an answer that says nothing."""
