"""Passwords as they are kept: salted and stretched by scrypt (RFC 7914), never as text.

Danger: one check costs 16 MB and some 50 ms on purpose; the sign-in page limits how often it is asked for.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b64decode, b64encode
from typing import Final

from redrive.blocks.core.errors import ParameterError

#: Cost, block size and parallelism: OWASP's second recommendation of 2024, at half its memory.
N, R, P = 2**14, 8, 5
#: Fewer characters are guessed.
LEAST: Final = 10
#: More would only cost time.
MOST: Final = 1_000


def kept(password: str) -> str:
    """What is kept of a password.

    Raises:
        ParameterError: it is too short or too long.
    """
    if not LEAST <= len(password) <= MOST:
        raise ParameterError(f"a password has {LEAST} to {MOST:,} characters; this one has {len(password)}")
    salt = secrets.token_bytes(16)
    return f"scrypt${N}${R}${P}${b64encode(salt).decode()}${b64encode(_stretched(password, salt, N, R, P)).decode()}"


def fits(password: str, kept: str | None) -> bool:
    """Whether it is the password; takes as long where nobody is of that name (`kept` is None)."""
    _, n, r, p, salt, right = (kept or _NOBODY).split("$")
    found = _stretched(password[:MOST], b64decode(salt), int(n), int(r), int(p))
    return hmac.compare_digest(found, b64decode(right)) and kept is not None


def _stretched(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode("utf-8", "surrogatepass"), salt=salt, n=n, r=r, p=p, maxmem=64 * 1024 * 1024)


_NOBODY: Final = f"scrypt${N}${R}${P}${b64encode(bytes(16)).decode()}${b64encode(bytes(64)).decode()}"
