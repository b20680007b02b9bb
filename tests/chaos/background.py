"""What a test does again and again beside its jobs, in a thread of its own."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self


class Background(ABC):
    """Acts every so many seconds until the block ends."""

    def __init__(self, every: float) -> None:
        self._every = every
        self._cease = threading.Event()
        self._turn = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._cease.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._cease.wait(self._every):
            with self._turn:
                self.act()

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Nothing is done in here."""
        with self._turn:
            yield

    @abstractmethod
    def act(self) -> None:
        """Do it once."""
