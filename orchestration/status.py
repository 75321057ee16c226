"""What `warehouse status` says of the last run and of the release at hand, also where an older version published it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestration.release.records import Restated
from orchestration.release.restating import sentences

if TYPE_CHECKING:
    import duckdb

    from orchestration.last_run import LastRun
    from orchestration.release import Release

SLOWEST_TOLD = 5
SCORE_FILES_TOLD = 5
"""Files of uploaded scores that are told, the latest; the mart score_loads has them all."""
ERRORS_TOLD = 3
"""Rows that a file's line is followed by; the mart rejected_rows has them all."""
NOT_RECORDED = "not recorded: an older version published this release"


def last_run_line(run: LastRun | None) -> str:
    """Say when the last run was, how it ended, how long it took and how much memory."""
    if run is None:
        return "last run: not recorded: it was of an older version"
    seconds = f", {run.seconds:.1f} s" if run.seconds is not None else ""
    memory = f", peak memory {in_units(run.peak_memory_bytes)}" if run.peak_memory_bytes else ""
    return f"last run: {run.started_at:%Y-%m-%d %H:%M} UTC: {run.outcome}{seconds}{memory}"


def in_units(size: int) -> str:
    """Return bytes as people read them."""
    mebibytes = size / 2**20
    return f"{mebibytes / 1024:.1f} GiB" if mebibytes >= 1024 else f"{mebibytes:,.0f} MiB"  # noqa: PLR2004


def release_lines(con: duckdb.DuckDBPyConnection, release: Release) -> list[str]:
    """Say what the run of a release recomputed, restated and spent its time on; `con` is open on the release."""
    columns = con.execute(
        "select table_name || '.' || column_name from duckdb_columns() where database_name = current_database()"
    ).fetchall()
    has = {column for (column,) in columns}
    return [
        *_score_lines(con, has),
        *_dates_lines(con, release, has),
        *_restated_lines(con, release, has),
        *_slowest_lines(con, release, has),
    ]


def _score_lines(con: duckdb.DuckDBPyConnection, has: set[str]) -> list[str]:
    """Say how many rows of uploaded scores were accepted, in document 001's terms, and what was wrong with others."""
    if "score_loads.accepted_rate" not in has:
        return []
    received, accepted, rate, files = con.execute("""
        select sum(received_count), sum(accepted_count), sum(accepted_count) / nullif(sum(received_count), 0), count(*)
        from score_loads
    """).fetchone()
    if not files:
        return []
    lines = [f"uploaded scores: {accepted:,} of {received:,} rows accepted ({rate or 0:.2%}) in {files:,} files"]
    loads = con.execute(
        """
        select
            file_id, path, received_count, accepted_count, accepted_rate, bad_row_count, unknown_customer_count,
            in_force_count
        from score_loads order by file_id desc limit ?
        """,
        [SCORE_FILES_TOLD],
    ).fetchall()
    for file_id, path, received, accepted, rate, bad, unknown, in_force in loads:
        lines.append(
            f"  {path}: {accepted:,} of {received:,} accepted ({rate or 0:.2%}), {bad:,} bad, {unknown:,} not found,"
            f" {in_force:,} in force"
        )
        errors = con.execute(
            "select detail from rejected_rows where file_id = ? order by record_number limit ?", [file_id, ERRORS_TOLD]
        ).fetchall()
        lines += [f"    {detail}" for (detail,) in errors]
    return lines


def _dates_lines(con: duckdb.DuckDBPyConnection, release: Release, has: set[str]) -> list[str]:
    if "run_ledger.dates_recomputed" not in has:
        return [f"dates recomputed: {NOT_RECORDED}"]
    count, is_full_refresh = con.execute(
        "select max(dates_recomputed), bool_or(is_full_refresh) from run_ledger where run_id = ?", [release.run_id]
    ).fetchone()
    return [f"dates recomputed for this release: {count or 0:,}" + (" (full refresh)" if is_full_refresh else "")]


def _restated_lines(con: duckdb.DuckDBPyConnection, release: Release, has: set[str]) -> list[str]:
    if "restatements.cause" not in has:
        return [f"restatements: {NOT_RECORDED}"]
    rows = con.execute(
        """
        select cause, count(*), count(distinct (user_id, date)) from restatements
        where release_id = ? group by cause order by count(*) desc, cause
        """,
        [release.release_id],
    ).fetchall()
    return sentences([Restated(*row) for row in rows]) or ["restated nothing that was published before"]


def _slowest_lines(con: duckdb.DuckDBPyConnection, release: Release, has: set[str]) -> list[str]:
    rows_out, memory = (
        column if f"run_ledger.{column}" in has else "null" for column in ("rows_out", "peak_memory_bytes")
    )
    slowest = con.execute(
        f"""
        select step, seconds, {rows_out}, {memory} from run_ledger
        where kind = 'model' and run_id = ? order by seconds desc, step limit {SLOWEST_TOLD}
        """,
        [release.run_id],
    ).fetchall()
    lines = ["slowest models of its run"]
    for step, seconds, rows, size in slowest:
        written = f" {rows:>14,} rows written" if rows is not None else ""
        lines.append(f"  {step:<32} {seconds:6.2f} s{written}" + (f" {in_units(size):>10}" if size else ""))
    return lines
