"""A download into a temporary file, with limits of size and time, through the guard of blocks/http_access.

Danger: an address is given by whoever asks for the job; what it answers is never held in memory as a whole, and its login
and query, which may hold a token, are in no message, label or log.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote_to_bytes

import httpx

from redrive.blocks.access.http_sources import guarded, without_secrets
from redrive.blocks.core.errors import PermanentError, Snooze
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.flows.engine.attempt import current_attempt
from redrive.flows.sync.source.limits import Limits
from redrive.flows.sync.source.unpacked import unpacked
from redrive.flows.sync.source.unreachable import SourceUnreachable

#: Seconds without a byte.
ANSWER_TIMEOUT = 30
#: As browsers; a longer chain is a loop in other clothes.
REDIRECT_LIMIT = 10
#: Seconds; a server that asks for more is asked again after this much.
RETRY_AFTER_LIMIT = 6 * 3600
#: These pass by themselves, the other 4xx do not.
_PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_REDIRECTS = {
    HTTPStatus.MOVED_PERMANENTLY,
    HTTPStatus.FOUND,
    HTTPStatus.SEE_OTHER,
    HTTPStatus.TEMPORARY_REDIRECT,
    HTTPStatus.PERMANENT_REDIRECT,
}


@dataclass(frozen=True)
class Answer:
    """What an address answered: a file, unless the server said that it has not changed."""

    path: Path | None
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class DownloadBudget:
    """What is left of the limits, over all pages of a source."""

    limits: Limits
    received: int = 0
    began: float = field(default_factory=time.monotonic)

    def take(self, count: int, shown: str) -> None:
        """Count bytes that came.

        Raises:
            PermanentError: more than the limit.
            SourceUnreachable: it takes longer than the limit; another try may be faster.
        """
        self.received += count
        if self.received > self.limits.size:
            raise PermanentError(
                f"{shown} sends more than {self.limits.megabytes:,g} MB: synchronise it from a file, or raise limits.megabytes"
            )
        if time.monotonic() - self.began > self.limits.seconds:
            raise SourceUnreachable(
                f"{shown} is not through after {self.limits.seconds:g} s and {self.received:,} bytes: it is too slow, or raise "
                "limits.seconds"
            )


def download(url: str, path: Path, budget: DownloadBudget, conditions: Mapping[str, str] | None = None) -> Answer:
    """Write what an address answers to `path`.

    Args:
        conditions: headers like If-None-Match; with them the answer may be "not modified", then without a file.

    Raises:
        PermanentError: the address is wrong, not allowed, leads in circles, sends too much, or the server says so (4xx).
        SourceUnreachable: no answer, a broken or a slow one, or 5xx; another try may work.
        Snooze: the server named the time to come again.
    """
    shown = without_secrets(url)
    try:
        return _follow(url, path, budget, conditions or {})
    except (httpx.UnsupportedProtocol, httpx.InvalidURL, UnicodeError):
        # Not chained: its message may hold the whole address.
        raise PermanentError(f"{shown} is no address that can be asked: correct the parameter source") from None
    except httpx.TransportError as error:
        message = str(error) or type(error).__name__
        raise SourceUnreachable(f"{shown} cannot be reached ({message}): check the address and the network") from None


def _follow(url: str, path: Path, budget: DownloadBudget, conditions: Mapping[str, str]) -> Answer:
    here = httpx.URL(url)
    login = here.userinfo
    origin = _origin(here)
    seen: set[str] = set()
    while True:
        shown = without_secrets(str(here))
        if here.scheme not in {"http", "https"} or not here.host:
            raise PermanentError(f"{shown} is no http(s) address: correct the parameter source")
        if str(here) in seen or len(seen) > REDIRECT_LIMIT:
            raise PermanentError(
                f"{without_secrets(url)} redirects in circles, at last to {shown}: correct the address"
            )
        seen.add(str(here))
        # A login is for the host it was given with.
        auth = (
            httpx.BasicAuth(*_user(here.userinfo or login))
            if (here.userinfo or login) and _origin(here) == origin
            else None
        )
        request = httpx.Request(
            "GET",
            here.copy_with(username=None, password=None, fragment=None),
            headers={"Accept": "*/*", "Accept-Encoding": "gzip", "User-Agent": "redrive", **conditions},
            extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), ANSWER_TIMEOUT)},
        )
        if auth:
            request = next(auth.auth_flow(request))
        # A transport of its own for each hop: not through httpx's client, which logs whole addresses.
        with guarded() as transport:
            answer = transport.handle_request(request)
            try:
                if answer.status_code in _REDIRECTS and (place := answer.headers.get("location")):
                    here = here.join(place)
                    continue
                return _received(answer, here, path, budget, conditional=bool(conditions))
            finally:
                answer.close()


def _received(
    answer: httpx.Response, url: httpx.URL, path: Path, budget: DownloadBudget, *, conditional: bool
) -> Answer:
    shown = without_secrets(str(url))
    status = answer.status_code
    if status == HTTPStatus.NOT_MODIFIED and conditional:
        return Answer(None, str(url), answer.headers)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _PASSING:
        message = f"{shown} answers {status} {answer.reason_phrase}"
        _come_again(message, answer.headers)
        raise SourceUnreachable(f"{message}: its server has a problem")
    if status != HTTPStatus.OK:
        raise PermanentError(
            f"{shown} answers {status} {answer.reason_phrase}: correct the parameter source or its access"
        )
    announced = answer.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > budget.limits.size - budget.received:
        budget.take(int(announced), shown)
    with path.open("wb") as file:
        for piece in unpacked(answer.iter_raw(), answer.headers.get("content-encoding", ""), shown):
            budget.take(len(piece), shown)
            file.write(piece)
    return Answer(path, str(url), answer.headers)


def _come_again(message: str, headers: httpx.Headers) -> None:
    """Leave until the time that a server named, if it named one and the job's deadline reaches so far."""
    retry_after = headers.get("retry-after")
    seconds = wait_seconds(retry_after, _its_time(headers)) if retry_after else None
    if seconds is None:
        return
    attempt = current_attempt()
    # The job's first start is told by the clock of Prefect's server.
    again = SERVER_CLOCK.now() + timedelta(seconds=seconds)
    if attempt and attempt.policy.past_deadline(first_start=attempt.first_start, at=again):
        return
    raise Snooze(seconds=seconds, why=f"{message} and asks to come again then")


def _its_time(headers: httpx.Headers) -> datetime:
    """The time by the clock of the server that answered: a date that it names is by that one."""
    try:
        told = parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        return SERVER_CLOCK.now()
    return told.replace(tzinfo=told.tzinfo or UTC)


def wait_seconds(retry_after: str, now: datetime) -> float | None:
    """Seconds that a `Retry-After` header asks for (RFC 9110, 10.2.3): a number or a date. None if it is neither."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        seconds = float(text[:12])
    else:
        try:
            at = parsedate_to_datetime(text)
        except ValueError:
            return None
        seconds = (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds()
    return min(max(seconds, 1.0), float(RETRY_AFTER_LIMIT))


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _user(userinfo: bytes) -> tuple[bytes, bytes]:
    name, _, password = userinfo.partition(b":")
    return unquote_to_bytes(name), unquote_to_bytes(password)
