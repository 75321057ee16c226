"""Loading: the new files of a feed come in by one transaction, without those that are refused."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace as changed
from datetime import UTC
from typing import TYPE_CHECKING

from orchestration.load.duplicates import (
    count_missing_lines,
    find_event_duplicates,
    judge_duplicates,
    number_identical_lines,
)
from orchestration.load.feeds import FEEDS
from orchestration.load.files import find_files, fingerprinted, format_of
from orchestration.load.gate import judge
from orchestration.load.reading import drop_temporary_tables, read_files, without_files
from orchestration.load.records import (
    LIVE,
    Counts,
    Job,
    Load,
    LoadError,
    LoadReport,
    Refusal,
    RefusedError,
    ledger_rows,
    silent,
    write_ledger,
    write_tenant_loads,
)
from orchestration.load.rows import collect_duplicates, collect_keys, insert_events, insert_versions, quarantine
from orchestration.load.sql import by_file, scalar, transaction
from orchestration.load.tables import create_raw_tables
from orchestration.load.versions import correct_books, sort_out_versions
from orchestration.load.withdrawal import live_versions, request_recomputation, withdraw_files

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from datetime import datetime
    from pathlib import Path

    from duckdb import DuckDBPyConnection as Connection

    from orchestration.load.feeds import Feed
    from orchestration.load.files import RawFile
    from orchestration.load.reading import Reading
    from orchestration.load.records import LedgerRow
    from orchestration.quality.suites import GateResult


def load_new_files(  # noqa: PLR0913
    con: Connection,
    raw_dir: Path,
    *,
    run_id: str,
    loaded_at: datetime,
    known_event_types: Collection[str] = (),
    docs_dir: Path | None = None,
    on_progress: Callable[[str], None] = silent,
) -> LoadReport:
    """Load every file under `raw_dir` that is new, and report what became of each.

    Args:
        con: the only connection to the working warehouse; its TimeZone is set to UTC.
        raw_dir: folder with one folder per feed.
        run_id: recorded with every file.
        loaded_at: the run's time; taken as UTC when it has no zone.
        known_event_types: gate 1 warns about others; empty: all are fine.
        docs_dir: where gate 1 writes its Data Docs; None: nowhere.
        on_progress: told what was done, one sentence at a time.

    A file that cannot be read or that gate 1 refuses becomes a ledger row and a reason, never an
    exception. Each feed commits by itself.

    """
    types = frozenset(known_event_types)
    job = prepared(con, Job(run_id, loaded_at, types, docs_dir, on_progress))
    files, warnings = find_files(raw_dir)
    report = LoadReport(warnings=(*warnings, *_clock_warnings(job, loaded_at)))
    for feed in FEEDS.values():
        if new := _new_files(con, [file for file in files if file.feed == feed.name]):
            report = _joined(report, load_feed(con, feed, new, job))
    return report


def prepared(con: Connection, job: Job) -> Job:
    """Make the connection and tables ready for a job and bring its time to UTC without a zone.

    A load is never dated before the one before it, even when the clock was set back: the time of a load dates versions
    that have none of their own, and the latest of them must stay the latest.
    """
    con.execute("set TimeZone = 'UTC'")
    create_raw_tables(con)
    now = job.loaded_at if job.loaded_at.tzinfo is None else job.loaded_at.astimezone(UTC).replace(tzinfo=None)
    last = con.execute(f"select max(loaded_at) from raw.load_ledger where {LIVE}").fetchone()[0] or now
    return changed(job, loaded_at=max(now, last))


def _clock_warnings(job: Job, now: datetime) -> list[str]:
    if now.tzinfo is not None:
        now = now.astimezone(UTC).replace(tzinfo=None)
    if job.loaded_at == now:
        return []
    last = f"{job.loaded_at:%Y-%m-%d %H:%M}"
    return [f"the clock says {now:%Y-%m-%d %H:%M} UTC, before the last load ({last}): new files are dated like it"]


def _joined(left: LoadReport, right: LoadReport) -> LoadReport:
    return LoadReport(left.files + right.files, left.warnings + right.warnings, left.gates | right.gates)


def _new_files(con: Connection, files: Sequence[RawFile]) -> list[RawFile]:
    """Return the files whose path, size and time the ledger does not know, with their checksums."""
    known = set(
        con.execute("""
            select path, size_bytes, modified_at from raw.load_ledger where state <> 'withdrawn'
        """).fetchall()
    )
    new = [file for file in files if file.identity not in known]
    first_id = scalar(con, "select coalesce(max(file_id), 0) + 1 from raw.load_ledger")
    return [changed(fingerprinted(f), file_id=i) for i, f in enumerate(new, start=first_id)]


def load_feed(con: Connection, feed: Feed, files: Sequence[RawFile], job: Job) -> LoadReport:
    """Load the new files of one feed in one transaction, without those that are refused."""
    started = time.monotonic()
    load_id = scalar(con, "select coalesce(max(load_id), 0) + 1 from raw.load_ledger")
    fresh, copies = _without_known_content(con, feed, files, job.replaced)
    reading = read_files(con, feed, fresh)
    load = Load(load_id, job, tuple(fresh), tuple(copies))
    try:
        rows, gate = _commit(con, feed, load, reading)
    finally:
        drop_temporary_tables(con, reading)
    _tell(feed, rows, job, time.monotonic() - started)
    warnings = (
        *reading.warnings,
        *(gate.warnings if gate else ()),
        *_missing_warnings(rows),
        *_conflict_warnings(rows),
    )
    return LoadReport(tuple(rows), warnings, {feed.name: gate} if gate else {})


def _without_known_content(
    con: Connection, feed: Feed, files: Sequence[RawFile], replaced: str
) -> tuple[list[RawFile], list[tuple[RawFile, str]]]:
    """Part files with new content from copies; a copy comes with the path that was loaded.

    Of profiles nothing is a copy: what is said again after something else was said is new.
    """
    if feed.is_dimension:
        return list(files), []
    loaded = con.execute(
        f"select path, sha256 from raw.load_ledger where {LIVE} and feed = $feed and path <> $replaced",
        {"feed": feed.name, "replaced": replaced},
    ).fetchall()
    paths = {(format_of(path), sha256): path for path, sha256 in loaded}
    fresh, copies = [], []
    for file in files:
        if file.sha256 and file.content in paths:
            copies.append((file, paths[file.content]))
        else:
            paths[file.content] = file.path
            fresh.append(file)
    return fresh, copies


def _commit(con: Connection, feed: Feed, load: Load, reading: Reading) -> tuple[list[LedgerRow], GateResult | None]:
    """Attempt a load until no further file is refused, and commit that attempt.

    Raises LoadError when a file that a person accepted cannot be read: it is refused already.
    """
    refused = {path: Refusal(reason) for path, reason in reading.problems.items()}
    while True:
        if refused and load.job.accepted_because:
            reasons = ", ".join(refusal.reason for refusal in refused.values())
            message = f"it cannot be read, so it stays refused: {reasons}"
            raise LoadError(message)
        sources = (without_files(source, refused) for source in reading.sources)
        attempt = changed(load, sources=tuple(source for source in sources if source.files))
        try:
            with transaction(con):
                return _attempt(con, feed, attempt, reading, refused)
        except RefusedError as error:
            refused |= error.refusals


def _attempt(
    con: Connection,
    feed: Feed,
    load: Load,
    reading: Reading,
    refused: dict[str, Refusal],
) -> tuple[list[LedgerRow], GateResult | None]:
    """Bring a load in and let gate 1 judge it; raise RefusedError when it refuses more files."""
    if load.job.replaced and (load.files or load.copies):
        versions = live_versions(con, load.job.replaced)
        withdraw_files(con, feed, versions, load.job, f"replaced: {load.job.replaced}")
    counts = _insert(con, feed, load, reading) if load.files else Counts()
    gate = judge(con, feed, load, counts, refused) if load.fresh else None
    if gate and not load.job.accepted_because:
        more = {
            file.path: Refusal(gate.refused[file.path], counts.rejected.get(file.file_id, 0))
            for file in load.files
            if file.path in gate.refused
        }
        if more:
            raise RefusedError(more)
    rows = ledger_rows(load, reading, counts, refused)
    write_ledger(con, rows)
    return rows, gate


def _insert(con: Connection, feed: Feed, load: Load, reading: Reading) -> Counts:
    """Bring the rows of a load into the feed's table, its rejects and duplicates to their places."""
    insert = _insert_versions if feed.is_dimension else _insert_events
    counts = insert(con, feed, load, reading)
    duplicates = "select file_id, count(*) from load_duplicates"
    duplicate = by_file(con, f"{duplicates} group by file_id")
    conflict = by_file(con, f"{duplicates} where is_conflict group by file_id")
    kept = by_file(con, _stored_sql(feed, load))
    counts = changed(counts, kept=kept, duplicate=duplicate, conflict=conflict)
    counts.check(load.files)
    write_tenant_loads(con, feed, load.load_id, load.job.loaded_at)
    return counts


def _insert_versions(con: Connection, feed: Feed, load: Load, reading: Reading) -> Counts:
    """Insert versions, then set those aside that say nothing new; count rejected rows and missing lines.

    A version that lies before known ones may make one of them count that did not. The load of that one is no new one,
    so its tenant is computed anew by request where it may change the time zone.
    """
    insert_versions(con, feed, load)
    rejected = quarantine(con, feed, load, reading, by_file(con, _stored_sql(feed, load)))
    missing = {file.file_id: count_missing_lines(con, feed, file) for file in load.files}
    keys = f"select {', '.join(feed.key)} from {feed.table} where load_id = {load.load_id}"
    sort_out_versions(con, feed, keys, load.job.loaded_at)
    con.execute(f"""
        create or replace temp table load_duplicates as
        select file_id, false as is_conflict from moved_versions where load_id = {load.load_id}
    """)
    con.execute(f"delete from moved_versions where load_id = {load.load_id}")
    correct_books(con, feed)
    if feed is FEEDS["organizations"]:
        con.execute("""
            create or replace temp table touched as
            select distinct user_id, null::date as from_date, null::date as to_date from moved_versions
        """)
        request_recomputation(con, load.job, f"load {load.load_id}")
    return Counts(reading.row_counts, rejected=rejected, missing=missing)


def _insert_events(con: Connection, feed: Feed, load: Load, reading: Reading) -> Counts:
    """Insert events that repeat no other, set the others aside; count rejected rows and missing lines."""
    collect_keys(con, feed, load)
    valid = by_file(con, "select file_id, count(*) from load_keys group by file_id")
    rejected = quarantine(con, feed, load, reading, valid)
    number_identical_lines(con)
    find_event_duplicates(con)
    missing = {file.file_id: count_missing_lines(con, feed, file) for file in load.files}
    con.execute("drop table load_keys")
    insert_events(con, feed, load)
    collect_duplicates(con, feed, load)
    judge_duplicates(con)
    con.execute("insert into raw.duplicate_events by name from load_duplicates")
    return Counts(reading.row_counts, rejected=rejected, missing=missing)


def _stored_sql(feed: Feed, load: Load) -> str:
    """Return SQL that counts the rows of a load in the feed's table by file id."""
    return f"select file_id, count(*) from {feed.table} where load_id = {load.load_id} group by file_id"


def _conflict_warnings(rows: Iterable[LedgerRow]) -> list[str]:
    return [
        f"{row.path}: {row.conflict_count:,} of its {row.duplicate_count:,} duplicate rows say something else than the"
        " event of that id that came first, which stays: to correct it, write its file anew and call"
        " `warehouse load replace`"
        for row in rows
        if row.conflict_count
    ]


def _missing_warnings(rows: Iterable[LedgerRow]) -> list[str]:
    return [
        f"{row.path}: {row.missing_line_count:,} lines of its former version are not in it any"
        f" more; their rows stay: `warehouse load replace {row.path}` withdraws them"
        for row in rows
        if row.missing_line_count
    ]


def _tell(feed: Feed, rows: Sequence[LedgerRow], job: Job, seconds: float) -> None:
    states = Counter(row.state for row in rows)
    kept, rejected, duplicate = (
        sum(getattr(row, f"{name}_count") for row in rows if row.state == "pending")
        for name in ("kept", "rejected", "duplicate")
    )
    files = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    job.on_progress(
        f"{feed.name}: files {files}; rows {kept:,} kept, {rejected:,} rejected,"
        f" {duplicate:,} duplicate ({seconds:.1f} s)"
    )
