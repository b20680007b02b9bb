"""Inside of a container: asks for COUNT jobs one by one, each until it is acknowledged; prints each id."""

from __future__ import annotations

import sys
import time

from redrive import RedriveError, enqueue

for number in range(int(sys.argv[1])):
    while True:
        try:
            print(enqueue("probe", {"number": number}, key=f"probe-{number}").id, flush=True)
            break
        except RedriveError as error:
            print(f"again: {error}", file=sys.stderr, flush=True)
            time.sleep(0.5)
