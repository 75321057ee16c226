"""How much memory a step takes: the resident memory of its processes, looked at ten times a second."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

import psutil

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

INTERVAL_SECONDS = 0.1
"""A look at a tree of processes takes about 3 ms."""

Sample = tuple[float, int]
"""When (seconds since 1970) and how many bytes."""


class MemorySampler:
    """Looks at the resident memory of a process, or of it and all that it started, while something is done."""

    def __init__(self, pid: int | None = None, *, with_children: bool = False) -> None:
        """Look at a process, by default this one."""
        self.samples: list[Sample] = []
        self._process = psutil.Process(pid)
        self._with_children = with_children
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="memory sampler", daemon=True)

    def __enter__(self) -> Self:
        """Begin; the first look is at once, so that there always is one."""
        self._look()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, and leave no thread behind."""
        self._stop.set()
        self._thread.join()

    @property
    def peak(self) -> int | None:
        """Return the most bytes so far; None when the process was gone before the first look."""
        return max((size for _, size in self.samples), default=None)

    def _sample(self) -> None:
        while not self._stop.wait(INTERVAL_SECONDS):
            self._look()

    def _look(self) -> None:
        try:
            tree = [self._process, *(self._process.children(recursive=True) if self._with_children else ())]
        except psutil.Error:
            return
        if size := sum(map(_resident_bytes, tree)):
            self.samples.append((time.time(), size))


def _resident_bytes(process: psutil.Process) -> int:
    """Return the resident memory of a process, 0 when it has ended meanwhile."""
    try:
        return process.memory_info().rss
    except psutil.Error:
        return 0


def peak_between(samples: Sequence[Sample], start: float, end: float) -> int | None:
    """Return the most bytes between two moments; of what passed between two looks, those of the look before it."""
    within = [size for moment, size in samples if start <= moment <= end]
    before = [size for moment, size in samples if moment < start]
    return max(within) if within else (before[-1] if before else None)
