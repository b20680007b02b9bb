"""Fixtures for all tests; each comes from the file in tests/support that owns it."""

pytest_plugins = [
    "tests.support.stack",
    "tests.support.job_stack",
    "tests.support.postgres",
    "tests.support.plain_prefect",
]
