"""Mail addresses as headers hold them.

Danger: addresses may come from parameters; a line break in one would let its author write headers.
"""

from __future__ import annotations

import re
from email.errors import MessageError
from email.headerregistry import Address
from email.utils import getaddresses

import idna

from redrive.blocks.core.errors import PermanentError

_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")


def addresses(given: list[str]) -> list[str]:
    """Addresses as headers hold them, each once; domains in ASCII where the rest of the address is.

    Raises:
        PermanentError: none, or one that is no address.
    """
    found: dict[str, str] = {}
    for text in given:
        one_line(text, "address")
        for name, address in getaddresses([text]):
            user, at, domain = address.rpartition("@")
            if not (user and at and domain):
                raise PermanentError(f"{text!r} is no mail address: write name@example.com")
            try:
                host = _domain(domain, ascii_only=user.isascii())
                # The parser knows no letters beyond ASCII (RFC 6532), which may stand wherever letters may.
                Address(display_name=name, addr_spec=_BEYOND_ASCII.sub("x", f"{user}@{host}"))
                written_out = f"{user}@{host}"
                parts = {"addr_spec": written_out} if user.isascii() else {"username": user, "domain": host}
                shown = str(Address(display_name=name, **parts))
            except (ValueError, IndexError, MessageError) as error:
                raise PermanentError(f"{text!r} is no mail address ({error}): write name@example.com") from error
            found.setdefault(written_out.lower(), shown)
    if not found:
        raise PermanentError("a mail needs a recipient: give at least one address in to")
    return list(found.values())


def _domain(domain: str, *, ascii_only: bool) -> str:
    """`xn--mnchen-3ya.de`, which every server takes; as it is written only in an address that needs SMTPUTF8 anyway.

    Raises:
        ValueError: no name of a host (IDNA 2008).
    """
    if domain.isascii():
        return domain
    encoded = idna.encode(domain, uts46=True)
    return encoded.decode() if ascii_only else idna.decode(encoded)


def one_line(text: str, what: str) -> str:
    """The text, if it cannot break out of a header.

    Raises:
        PermanentError: it holds a line break or another control character.
    """
    if any(ord(c) < ord(" ") or c in "\x7f\u2028\u2029\x85" for c in text):
        raise PermanentError(
            f"the {what} {text!r} holds a control character, which could forge mail headers: remove it"
        )
    return text
