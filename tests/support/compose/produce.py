"""Inside of a container: `produce.py COUNT NAME SECONDS` asks for COUNT jobs one by one, each until it is acknowledged.

Prints each id, and when it was acknowledged."""

from __future__ import annotations

import sys
import time

from redrive import RedriveError, enqueue

count, name, seconds = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
for number in range(count):
    while True:
        try:
            job = f"{name}-{number}"
            print(enqueue("probe", {"name": job, "seconds": seconds}, key=job).id, f"{time.time():.2f}", flush=True)
            break
        except RedriveError as error:
            print(f"again: {error}", file=sys.stderr, flush=True)
            time.sleep(0.5)
