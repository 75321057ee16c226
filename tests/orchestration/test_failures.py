"""Failures in words: the cause, the folder, what to do; and nothing made up about other failures."""

from __future__ import annotations

import sqlite3
import sys
from typing import TYPE_CHECKING

import duckdb
import pytest
from dagster._utils.error import serializable_error_info_from_exc_info

from orchestration import cli, failures, load, release
from orchestration.home import Home

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "report",
    [
        "[Errno 28] No space left on device: '{folder}/published/x.parquet'",
        "[Errno 27] File too large: '{folder}/published/x.parquet'",
        'IO Error: Could not write file "{folder}/published/x.parquet": No space left on device',
        "(sqlite3.OperationalError) database or disk is full",
        "Out of Memory Error: failed to offload data block (…) see max_temp_directory_size",
    ],
)
def test_full_disk_is_named_with_its_folder_and_free_room(tmp_path: Path, report: str) -> None:
    said = failures.in_words(report.format(folder=tmp_path), tmp_path)
    assert said
    assert said.startswith(f"the disk is full: {tmp_path} could not take")
    assert "MiB are free now); make room there and call `warehouse run` again" in said


def test_vague_error_of_sqlite_is_a_full_disk_only_where_room_is_scarce(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = "(sqlite3.OperationalError) disk I/O error"
    monkeypatch.setattr(failures, "SCARCE_MEBIBYTES", 0)
    assert failures.in_words(report, tmp_path) is None
    monkeypatch.setattr(failures, "SCARCE_MEBIBYTES", 2**40)
    assert "the disk is full" in (failures.in_words(report, tmp_path) or "")


@pytest.mark.parametrize("reason", ["Read-only file system", "Permission denied"])
def test_folder_that_cannot_be_written_to_is_named(tmp_path: Path, reason: str) -> None:
    said = failures.in_words(f"[Errno 30] {reason}: '{tmp_path}/dagster/dagster.yaml'", tmp_path / "elsewhere")
    assert said
    assert said.startswith(f"{tmp_path} cannot be written to ({reason}): give the user")


def test_other_failures_are_left_as_they_are(tmp_path: Path) -> None:
    assert failures.in_words("Binder Error: column x does not exist", tmp_path) is None


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (release.ReleaseError("the release cannot be copied to /x: Permission denied (y)"), "cannot be copied to /x"),
        (load.LoadError("a.csv: not refused"), "a.csv: not refused"),
        (duckdb.BinderException("column x"), "column x"),
        (sqlite3.OperationalError("database or disk is full"), "the disk is full: "),
        (KeyError("x"), None),
    ],
)
def test_commands_and_steps_say_the_same(tmp_path: Path, error: Exception, said: str | None) -> None:
    """Our own messages stand as they are; a failure that nobody foresaw keeps its traceback."""
    message = cli.explained(error)
    assert message is None if said is None else said in (message or "")
    try:
        raise error
    except type(error):
        step = cli._in_words(serializable_error_info_from_exc_info(sys.exc_info()), Home(tmp_path))  # noqa: SLF001
    assert (said or "Stack Trace") in step
    if isinstance(error, cli.OUR_OWN):
        assert step == str(error)
