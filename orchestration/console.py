"""Progress for people: one line a step, to standard output."""

from __future__ import annotations

import sys


def say(line: str) -> None:
    """Print a line of progress at once, also when the output is a file or a pipe."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
