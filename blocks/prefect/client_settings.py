"""What Prefect's settings say of its client, without Prefect's import (two seconds) where they say nothing special.

Danger: Prefect reads its settings from six places. As soon as one of them may hold a setting of the client, Prefect itself is asked.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

#: Names of settings whose values in the environment are read here.
SIMPLE = ("PREFECT_CLIENT_MAX_RETRIES", "PREFECT_CLIENT_RETRY_EXTRA_CODES")
#: And of those that Prefect reads.
NAMES = (
    "PREFECT_API_SSL_CERT_FILE",
    "PREFECT_API_TLS_INSECURE_SKIP_VERIFY",
    "PREFECT_CLIENT_CUSTOM_HEADERS",
    "PREFECT_CLIENT_RETRY_JITTER_FACTOR",
)
#: Files in the present folder that Prefect reads, and what in them may concern it.
FILES = {".env": "PREFECT_", "prefect.toml": "", "pyproject.toml": "[tool.prefect"}


@dataclass(frozen=True, kw_only=True)
class ClientSettings:
    """How Prefect's client talks to its server. The defaults are Prefect's own."""

    max_retries: int = 5
    jitter: float = 0.2
    extra_codes: frozenset[int] = frozenset()
    cert_file: str | None = None
    skips_verification: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


def client_settings() -> ClientSettings:
    """As they are now."""
    if "prefect.settings" in sys.modules:
        return _of_prefect()
    return _without_prefect(tuple(os.environ.get(name) for name in (*SIMPLE, *NAMES)))


@functools.lru_cache(maxsize=8)
def _without_prefect(given: tuple[str | None, ...]) -> ClientSettings:
    retries, codes = given[: len(SIMPLE)]
    if any(given[len(SIMPLE) :]) or _may_be_in_a_file():
        return _of_prefect()
    try:
        return ClientSettings(
            max_retries=ClientSettings.max_retries if retries is None else int(retries),
            extra_codes=frozenset(int(code) for code in (codes or "").split(",") if code.strip()),
        )
    except ValueError:
        # Prefect says what is wrong with it.
        return _of_prefect()


def _may_be_in_a_file() -> bool:
    profiles = (
        os.environ.get("PREFECT_PROFILES_PATH")
        or Path(os.environ.get("PREFECT_HOME") or "~/.prefect") / "profiles.toml"
    )
    if any(_holds(Path(profiles).expanduser(), name) for name in (*SIMPLE, *NAMES)):
        return True
    return any(_holds(Path(name), text) for name, text in FILES.items())


def _holds(path: Path, text: str) -> bool:
    try:
        return text in path.read_text(errors="replace")
    except OSError:
        return False


def _of_prefect() -> ClientSettings:
    from prefect.settings import get_current_settings  # noqa: PLC0415  (see above)

    found = get_current_settings()
    return ClientSettings(
        max_retries=found.client.max_retries,
        jitter=found.client.retry_jitter_factor or 0.0,
        extra_codes=frozenset(cast("set[int]", found.client.retry_extra_codes)),
        cert_file=found.api.ssl_cert_file,
        skips_verification=found.api.tls_insecure_skip_verify,
        headers=dict(found.client.custom_headers),
    )
