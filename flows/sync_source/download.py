"""A download into a temporary file, with limits.

Danger: an address is given by whoever asks for the job; what it answers is never held in memory as a whole.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import httpx

from redrive.blocks.errors import PermanentError, RedriveError

#: Seconds without a byte.
SILENCE_LIMIT = 30
#: Bytes; a source that is larger should be synchronised from a file.
SIZE_LIMIT = 2 * 1024**3
#: These pass by themselves, the other 4xx do not.
_PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}


class SourceUnreachable(RedriveError):  # noqa: N818  (reads as what happened, as in blocks/errors.py)
    """A source cannot be reached."""


@contextmanager
def downloaded(url: str) -> Iterator[tuple[Path, str]]:
    """A file with what the address answers, and its content type.

    Raises:
        PermanentError: the address is wrong, or the server says so (4xx).
        SourceUnreachable: no answer, a broken one or 5xx; another try may work.
    """
    shown = _without_secrets(url)
    with tempfile.TemporaryDirectory(prefix="redrive-download-") as folder:
        path = Path(folder) / "source"
        try:
            mime = _fetch(url, path, shown)
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise PermanentError(f"{shown} is no address that can be asked: correct the parameter source") from error
        except httpx.TransportError as error:
            said = str(error) or type(error).__name__
            raise SourceUnreachable(f"{shown} cannot be reached ({said}): check the address and the network") from error
        yield path, mime


def _fetch(url: str, path: Path, shown: str) -> str:
    with httpx.stream("GET", url, follow_redirects=True, timeout=SILENCE_LIMIT) as answer:
        status = answer.status_code
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _PASSING:
            raise SourceUnreachable(f"{shown} answers {status} {answer.reason_phrase}: its server has a problem")
        if status != HTTPStatus.OK:
            raise PermanentError(
                f"{shown} answers {status} {answer.reason_phrase}: correct the parameter source or its access"
            )
        with path.open("wb") as file:
            for piece in answer.iter_bytes():
                file.write(piece)
                if file.tell() > SIZE_LIMIT:
                    raise PermanentError(
                        f"{shown} sends more than {SIZE_LIMIT // 1024**3} GB: synchronise it from a file"
                    )
        return str(answer.headers.get("content-type", ""))


def _without_secrets(url: str) -> str:
    """The address without login and query, which may hold a token."""
    parts = httpx.URL(url)
    return str(parts.copy_with(username=None, password=None, query=None, fragment=None))
