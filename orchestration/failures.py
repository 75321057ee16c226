"""Failures in words: what the machine reported, as a sentence that names the cause and says what to do."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

DISK_FULL = (
    "No space left on device",
    "disk is full",
    "Disk quota exceeded",
    "File too large",
    "max_temp_directory_size",
)
"""How the system, SQLite and DuckDB say that nothing more can be written."""
NOT_WRITABLE = ("Read-only file system", "Permission denied", "readonly database", "read-only mode")
LOCKED = "Could not set lock on file"
MEBIBYTE = 2**20
SCARCE_MEBIBYTES = 16
"""Free room below which a vague error of a disk is taken for a full one."""


def in_words(report: str, home: Path) -> str | None:
    """Return what an error's text means for the warehouse of a home, or None when it is no failure of the machine."""
    if LOCKED in report:
        holder = report.partition("Conflicting lock is held in")[2].partition(" See also")[0].strip(" .")
        named = f" ({holder})" if holder else ""
        return f"the working database is open in another process{named}; close it and try again"
    folder = _folder_named_in(report) or home
    free = shutil.disk_usage(folder).free // MEBIBYTE if folder.exists() else 0
    # SQLite says no more than that where it cannot grow the file that it maps into memory.
    is_full_for_sqlite = "disk I/O error" in report and free < SCARCE_MEBIBYTES
    if is_full_for_sqlite or any(sign in report for sign in DISK_FULL):
        return (
            f"the disk is full: {folder} could not take what the run wrote ({free:,} MiB are free now);"
            " make room there and call `warehouse run` again: nothing is lost, the last release stands"
        )
    if any(sign in report for sign in NOT_WRITABLE):
        return (
            f"{folder} cannot be written to ({next(sign for sign in NOT_WRITABLE if sign in report)}): give the user"
            " that runs the warehouse the right to write there, or set WAREHOUSE_HOME to another folder;"
            " what is published can be read all the same"
        )
    return None


def _folder_named_in(report: str) -> Path | None:
    """Return the existing folder of the first absolute path that a report quotes."""
    for name in re.findall(r"""["'](/[^"'\n]+)["']""", report):
        folder = next((parent for parent in Path(name).parents if parent.is_dir()), None)
        if folder and folder != Path("/"):
            return folder
    return None
