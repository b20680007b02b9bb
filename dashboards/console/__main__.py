"""The console as a process: `python -m redrive.dashboards.console`."""

from __future__ import annotations

import logging
import sys

import uvicorn

from redrive.blocks.core.heap import freeze_loaded
from redrive.blocks.core.patience import hurry
from redrive.blocks.core.settings import settings
from redrive.dashboards.console.app import make_app

#: Seconds that open streams get to end when the process is told to.
LEAVE = 1
#: Seconds after which a thread that computes lets others go on. A page waits for a server many times, and each time it goes on it would
#: wait five thousandths for whatever is read beside it, which is Python's own value.
SWITCH = 0.001


class _Server(uvicorn.Server):
    """Ends its streams before it waits for them."""

    async def shutdown(self, sockets: object = None) -> None:
        for streams in self.config.app.state.streams:  # type: ignore[union-attr]  # our own application
            streams.close()
        await super().shutdown(sockets)  # type: ignore[arg-type]  # passed on


def main() -> None:
    """Serve until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for name in ("httpx", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # A person waits for every page.
    hurry()
    sys.setswitchinterval(SWITCH)
    here = settings()
    certificate, key = here.certificate()
    config = uvicorn.Config(
        make_app(here),
        host=here.host,
        port=here.console_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=LEAVE,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        # What a proxy says of the client is believed from a trusted one only, by our own setting.
        proxy_headers=False,
    )
    freeze_loaded()
    _Server(config).run()


if __name__ == "__main__":
    main()
