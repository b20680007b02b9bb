"""Prefect's own server, with our calls in front of it, served by uvicorn.

Address, port, database and password are Prefect's settings. With `--no-services` only the API and the UI are served, as
`prefect server start --no-services` does, for installations of several servers.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import uvicorn
from prefect.server.api.server import create_app
from prefect.settings import get_current_settings

from redrive.blocks.core.heap import loading
from redrive.blocks.core.settings import settings
from redrive.blocks.prefect.private import server
from redrive.infra.server import contract
from redrive.infra.server.front import Front
from redrive.infra.server.storing import Storing


def _storing(their_events: Callable[..., Any], their_logs: Callable[..., Any]) -> tuple[Any, Any]:
    storing = Storing(their_events, their_logs)
    return storing.write_events, storing.create_logs


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m redrive.infra.server", description=__doc__)
    parser.add_argument("--no-services", action="store_true", help="only the API and the UI")
    only_web = parser.parse_args().no_services
    server.skip_what_is_recorded()
    server.handle_events_cheaply()
    # What is replaced next is among what the contract watches.
    why_off = contract.broken()
    if why_off is None:
        server.store_by(_storing)
        server.end_tasks_of_cancelled_runs()
    given = get_current_settings().server
    certificate, key = settings().certificate()
    with loading():
        app = Front(create_app(final=True, webserver_only=only_web), why_off=why_off)
    uvicorn.run(
        app,
        host=given.api.host,
        port=given.api.port,
        timeout_keep_alive=given.api.keepalive_timeout,
        ws_ping_interval=given.api.websocket_ping_interval,
        ws_ping_timeout=given.api.websocket_ping_timeout,
        log_level=given.logging_level.lower(),
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
