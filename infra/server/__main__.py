"""`python -m redrive.infra.server [--no-services]`: Prefect's own server, with our calls in front of it."""

from __future__ import annotations

from redrive.blocks.core.heap import loading

with loading():
    from redrive.infra.server.serving import main

if __name__ == "__main__":
    main()
