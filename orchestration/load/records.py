"""Records: what a load is asked to do, what became of its files and rows, and the ledgers that say so."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Literal

from orchestration.load.sql import literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from duckdb import DuckDBPyConnection as Connection

    from orchestration.load.feeds import Feed
    from orchestration.load.files import RawFile
    from orchestration.load.reading import Reading, Source
    from orchestration.quality.suites import GateResult


def silent(_message: str) -> None:
    """Ignore a progress message."""


@dataclass(frozen=True)
class Job:
    """What all loads of one run share: `loaded_at` is UTC without a zone.

    `replaced` names a path whose former versions are withdrawn in the same transaction;
    `accepted_because` tells gate 1's former verdict, which is then only noted.
    """

    run_id: str
    loaded_at: datetime
    known_event_types: frozenset[str] = frozenset()
    docs_dir: Path | None = None
    on_progress: Callable[[str], None] = silent
    replaced: str = ""
    accepted_because: str = ""


@dataclass(frozen=True)
class Load:
    """The new files of one feed in one run.

    `copies` come with the path that has the same content; `sources` hold the fresh files that no
    attempt has refused so far.
    """

    load_id: int
    job: Job
    fresh: tuple[RawFile, ...]
    copies: tuple[tuple[RawFile, str], ...]
    sources: tuple[Source, ...] = ()

    @property
    def files(self) -> list[RawFile]:
        """Return the files that are brought in, in path order."""
        files = (file for source in self.sources for file in source.files)
        return sorted(files, key=lambda file: file.file_id)


@dataclass(frozen=True)
class Refusal:
    """Why a file may not enter, and how many of its rows were rejected, where that is known."""

    reason: str
    rejected_count: int = 0


class RefusedError(Exception):
    """Some files of an attempted load may not enter; the attempt is rolled back."""

    def __init__(self, refusals: dict[str, Refusal]) -> None:
        """Take the refusals by path."""
        super().__init__(", ".join(refusals))
        self.refusals = refusals


State = Literal["pending", "published", "refused", "skipped", "withdrawn"]
LIVE = "state in ('pending', 'published')"
"""SQL that is true of ledger rows whose file's rows are in the raw tables."""


class LoadError(RuntimeError):
    """Loading cannot do what was asked, or its books do not balance; nothing was changed."""


@dataclass(frozen=True)
class LedgerRow:
    """One row of raw.load_ledger: what became of one version of one file."""

    file_id: int
    load_id: int
    feed: str
    path: str
    size_bytes: int
    modified_at: datetime
    sha256: str
    row_count: int
    kept_count: int
    rejected_count: int
    duplicate_count: int
    conflict_count: int
    missing_line_count: int
    state: State
    reason: str | None
    loaded_at: datetime
    run_id: str


@dataclass(frozen=True)
class LoadReport:
    """What a run's loading did, file by file."""

    files: tuple[LedgerRow, ...] = ()
    warnings: tuple[str, ...] = ()
    gates: dict[str, GateResult] = field(default_factory=dict)

    @property
    def refused(self) -> tuple[LedgerRow, ...]:
        """Return the files that were not loaded; `reason` says why and what to do."""
        return tuple(row for row in self.files if row.state == "refused")


@dataclass(frozen=True)
class Counts:
    """What became of the records of the files of one load: every mapping is by file id."""

    rows: dict[int, int] = field(default_factory=dict)
    kept: dict[int, int] = field(default_factory=dict)
    rejected: dict[int, int] = field(default_factory=dict)
    duplicate: dict[int, int] = field(default_factory=dict)
    conflict: dict[int, int] = field(default_factory=dict)
    missing: dict[int, int] = field(default_factory=dict)

    def of(self, file: RawFile) -> dict[str, int]:
        """Return the counts of one file under the ledger's names."""
        return {
            "kept_count": self.kept.get(file.file_id, 0),
            "rejected_count": self.rejected.get(file.file_id, 0),
            "duplicate_count": self.duplicate.get(file.file_id, 0),
            "conflict_count": self.conflict.get(file.file_id, 0),
            "missing_line_count": self.missing.get(file.file_id, 0),
        }

    def check(self, files: Sequence[RawFile]) -> None:
        """Raise LoadError unless rows in the file = kept + rejected + duplicate, for each file; no other has rows."""
        known = {file.file_id for file in files}
        if strange := {file_id for part in (self.kept, self.rejected, self.duplicate) for file_id in part} - known:
            message = (
                f"rows of files that are not in this load (file_id {', '.join(map(str, strange))}): nothing was loaded"
            )
            raise LoadError(message)
        for file in files:
            parts = [part.get(file.file_id, 0) for part in (self.kept, self.rejected, self.duplicate)]
            if sum(parts) != self.rows[file.file_id]:
                message = (
                    f"{file.path}: {self.rows[file.file_id]} rows in the file, but kept, rejected"
                    f" and duplicate are {parts}"
                )
                raise LoadError(message)


def list_loads(con: Connection) -> list[LedgerRow]:
    """Return every version of every file that loading has met, the newest first."""
    names = ", ".join(column.name for column in fields(LedgerRow))
    rows = con.execute(f"select {names} from raw.load_ledger order by file_id desc").fetchall()
    return [LedgerRow(*row) for row in rows]


def ledger_rows(load: Load, reading: Reading, counts: Counts, refused: dict[str, Refusal]) -> list[LedgerRow]:
    """Return the ledger rows of all files of a load, in path order."""
    verdict = load.job.accepted_because
    accepted = f"accepted by hand in spite of: {verdict}" if verdict else None
    rows, refused_contents = [], {}
    for file in load.fresh:
        row_count = reading.row_counts.get(file.file_id, 0)
        if refusal := refused.get(file.path):
            of_file = {"row_count": row_count, "rejected_count": refusal.rejected_count}
            rows.append(_ledger_row(file, load, "refused", refusal.reason, **of_file))
            refused_contents[file.content] = refusal.reason, of_file
        else:
            of_file = {"row_count": row_count} | counts.of(file)
            rows.append(_ledger_row(file, load, "pending", accepted, **of_file))
    for file, path in load.copies:
        if file.content in refused_contents:  # what holds of the one holds of the other
            reason, of_file = refused_contents[file.content]
            rows.append(_ledger_row(file, load, "refused", reason.replace(path, file.path), **of_file))
        else:
            rows.append(_ledger_row(file, load, "skipped", f"same content as {path}"))
    return sorted(rows, key=lambda row: row.file_id)


def _ledger_row(file: RawFile, load: Load, state: State, reason: str | None, **counts: int) -> LedgerRow:
    names = ("row_count", "kept_count", "rejected_count", "duplicate_count", "conflict_count")
    return LedgerRow(
        file_id=file.file_id,
        load_id=load.load_id,
        feed=file.feed,
        path=file.path,
        size_bytes=file.size_bytes,
        modified_at=file.modified_at,
        sha256=file.sha256,
        state=state,
        reason=reason,
        loaded_at=load.job.loaded_at,
        run_id=load.job.run_id,
        **dict.fromkeys((*names, "missing_line_count"), 0) | counts,
    )


def write_ledger(con: Connection, rows: Sequence[LedgerRow]) -> None:
    """Append rows to the load ledger."""
    names = [column.name for column in fields(LedgerRow)]
    marks = ", ".join(f"${name}" for name in names)
    con.executemany(
        f"insert into raw.load_ledger ({', '.join(names)}) values ({marks})",
        [asdict(row) for row in rows],
    )


def write_tenant_loads(con: Connection, feed: Feed, load_id: int, loaded_at: datetime) -> None:
    """Write anew which tenants a load brought rows of; an audit feed's rows make no tenant and change none."""
    if feed.is_audit:
        return
    con.execute(f"delete from raw.tenant_loads where load_id = {load_id}")
    con.execute(f"""
        insert into raw.tenant_loads by name
        select user_id, {literal(feed.name)} as feed, load_id, {literal(loaded_at)} as loaded_at,
            count(*) as row_count
        from {feed.table} where load_id = {load_id} group by user_id, load_id
    """)
