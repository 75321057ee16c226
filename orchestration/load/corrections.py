"""Corrections: what people do with single files afterwards: accept, retry, replace, withdraw."""

from __future__ import annotations

from dataclasses import replace as changed
from typing import TYPE_CHECKING

from orchestration.load.feeds import FEEDS
from orchestration.load.files import find_files, fingerprinted
from orchestration.load.loading import load_feed, prepared
from orchestration.load.records import Job, LoadError, silent
from orchestration.load.sql import scalar, transaction
from orchestration.load.withdrawal import live_versions, withdraw_files

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime
    from pathlib import Path

    from duckdb import DuckDBPyConnection as Connection

    from orchestration.load.files import RawFile
    from orchestration.load.records import LoadReport


def accept(  # noqa: PLR0913
    con: Connection,
    raw_dir: Path,
    path: str,
    *,
    run_id: str,
    loaded_at: datetime,
    on_progress: Callable[[str], None] = silent,
) -> LoadReport:
    """Load a refused file in spite of gate 1; its ledger row tells the verdict that was overruled.

    The gate's other warnings are noted as ever. Raises LoadError when the path is not refused (any
    more), has other content than was refused, or cannot be read.
    """
    job = prepared(con, Job(run_id, loaded_at, on_progress=on_progress))
    file = _file_at(con, raw_dir, path)
    return load_feed(con, FEEDS[file.feed], [file], changed(job, accepted_because=_verdict_on(con, file)))


def _verdict_on(con: Connection, file: RawFile) -> str:
    """Return why a file's content was refused; raise LoadError when it was not."""
    verdict = con.execute(
        "select state, reason, sha256 from raw.load_ledger where path = $path order by file_id desc limit 1",
        {"path": file.path},
    ).fetchone()
    if verdict is None or verdict[0] != "refused":
        message = f"{file.path}: not refused: `warehouse load list` shows what is"
        raise LoadError(message)
    _, reason, sha256 = verdict
    if sha256 != file.sha256:
        message = f"{file.path}: changed since it was refused: have the new content tried first"
        raise LoadError(message)
    return reason


def retry(con: Connection, path: str) -> int:
    """Forget that a path was refused, so that the next run tries it again; return how often it was.

    Raises LoadError when the path is not refused.
    """
    forgotten = con.execute(
        "delete from raw.load_ledger where path = $path and state = 'refused'", {"path": path}
    ).fetchone()[0]
    if not forgotten:
        message = f"{path}: not refused: `warehouse load list` shows what is"
        raise LoadError(message)
    return forgotten


def replace(  # noqa: PLR0913
    con: Connection,
    raw_dir: Path,
    path: str,
    *,
    run_id: str,
    loaded_at: datetime,
    known_event_types: Collection[str] = (),
    docs_dir: Path | None = None,
    is_accepted: bool = False,
    on_progress: Callable[[str], None] = silent,
) -> LoadReport:
    """Withdraw the former versions of a path and load what lies there now, in one transaction.

    When the new content is refused, the former versions stay; `is_accepted` overrules that verdict and raises LoadError
    when there is none.
    """
    types = frozenset(known_event_types)
    job = Job(run_id, loaded_at, types, docs_dir, on_progress, replaced=path)
    job = prepared(con, job)
    file = _file_at(con, raw_dir, path)
    if is_accepted:
        job = changed(job, accepted_because=_verdict_on(con, file))
    return load_feed(con, FEEDS[file.feed], [file], job)


def withdraw(con: Connection, path: str, *, run_id: str, loaded_at: datetime) -> int:
    """Take the rows of every version of a path out again; return how many versions there were.

    If the file still lies under raw/, the next run loads it anew.
    """
    job = prepared(con, Job(run_id, loaded_at))
    versions = live_versions(con, path)
    if not versions:
        message = f"{path}: nothing was loaded from it: `warehouse load list` shows what was"
        raise LoadError(message)
    with transaction(con):
        withdraw_files(con, FEEDS[path.partition("/")[0]], versions, job, f"withdrawn: {path}")
    return len(versions)


def _file_at(con: Connection, raw_dir: Path, path: str) -> RawFile:
    files = [file for file in find_files(raw_dir)[0] if file.path == path]
    if not files:
        message = f"{path}: no such file under raw/: give the path as `warehouse load list` does"
        raise LoadError(message)
    next_id = scalar(con, "select coalesce(max(file_id), 0) + 1 from raw.load_ledger")
    return changed(fingerprinted(files[0]), file_id=next_id)
