"""Where files lie that tests give to jobs: what they make in the temporary folder, and the samples."""

from __future__ import annotations

import tempfile
from pathlib import Path

#: As REDRIVE_FILE_ROOTS wants it.
FILE_ROOTS = f"{tempfile.gettempdir()}:{Path(__file__).resolve().parents[2] / 'flows' / 'samples'}"
