"""How a sandbox answers: into one file without a name, open when it begins; it can write nowhere else.

First its attachments, then the text, then what was found as JSON, and at the end where these lie. The answer to a refused
document is the reason.
"""

from __future__ import annotations

import json
import os
import struct
from typing import Any

#: Where the text begins, where what was found begins, and a mark that says that the answer is whole.
ENDING = struct.Struct(">QQ8s")
WHOLE = b"redrive1"
#: Exit code of a sandbox whose document is at fault: its answer is the reason.
UNREADABLE = 3


class Answer:
    """An answer that is being written, inside of a sandbox."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._size = 0

    def add(self, content: bytes) -> int:
        """Put something there; where it begins."""
        begin, left = self._size, memoryview(content)
        while left:
            left = left[os.write(self._file, left) :]
        self._size += len(content)
        return begin

    def finish(self, text: bytes, found: dict[str, Any]) -> None:
        """Put the last of it there."""
        about = json.dumps(found).encode()
        begin = self.add(text)
        self.add(about + ENDING.pack(begin, begin + len(text), WHOLE))

    def refuse(self, reason: str) -> None:
        """Answer with why nothing can be made of the document."""
        os.ftruncate(self._file, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        self.add(reason.encode(errors="replace"))
