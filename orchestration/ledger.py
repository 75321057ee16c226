"""The run ledger: what every run did, step by step. Recorded, never rebuilt.

What came after what is told by the order in which rows were written (`rowid`, which DuckDB keeps over deletes and
checkpoints), never by `started_at`: a machine's clock can be set back.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    import duckdb


NOTHING_NEW = "nothing new"
"""What the load step says when nothing is to be built."""


@dataclass(frozen=True)
class Step:
    """One row of raw.run_ledger: a step of a run, its result and its cost."""

    run_id: str
    step: str
    kind: str
    status: str
    row_count: int | None = None
    seconds: float | None = None
    started_at: datetime | None = None
    code_checksum: str | None = None
    is_full_refresh: bool | None = None
    message: str | None = None
    rows_in: int | None = None
    rows_out: int | None = None
    dates_recomputed: int | None = None
    peak_memory_bytes: int | None = None
    selection: str | None = None


def record(con: duckdb.DuckDBPyConnection, steps: Iterable[Step]) -> None:
    """Write steps; a step that the run has recorded before (a retried step) is replaced."""
    rows = [asdict(step) for step in steps]
    # By name: a table that an older version made has the newer columns at its end.
    names = [column.name for column in fields(Step)]
    marks = ", ".join(f"${name}" for name in names)
    con.begin()
    con.executemany(
        "delete from raw.run_ledger where run_id = ? and step = ?", [(row["run_id"], row["step"]) for row in rows]
    )
    con.executemany(f"insert into raw.run_ledger ({', '.join(names)}) values ({marks})", rows)
    con.commit()


def step(con: duckdb.DuckDBPyConnection, run_id: str, name: str) -> Step:
    """Return a step of a run as it was recorded. Raises LookupError where the run has no such step."""
    found = [step for step in steps_of_run(con, run_id) if step.step == name]
    if not found:
        message = f"run {run_id} has recorded no step {name}"
        raise LookupError(message)
    return found[0]


def steps_of_run(con: duckdb.DuckDBPyConnection, run_id: str) -> list[Step]:
    """Return the steps of a run as they were recorded."""
    names = [column.name for column in fields(Step)]
    rows = con.execute(f"select {', '.join(names)} from raw.run_ledger where run_id = ? order by rowid", [run_id])
    return [Step(**dict(zip(names, row, strict=True))) for row in rows.fetchall()]


def last_checksum(con: duckdb.DuckDBPyConnection, step: str) -> str | None:
    """Return the code checksum of the last successful run of a step; null if there was none."""
    row = con.execute(
        "select arg_max(code_checksum, rowid) from raw.run_ledger where step = ? and status = 'success'", [step]
    ).fetchone()
    return row[0] if row else None


def checksums_in_tables(con: duckdb.DuckDBPyConnection, step: str) -> set[str]:
    """Return the code checksums that a step's tables may come from: of its last success and of all attempts since.

    An attempt that failed, or was killed, has rebuilt some tables and not others. Empty: it never succeeded.
    """
    rows = con.execute(
        """
        with attempts as (select rowid as place, status, code_checksum from raw.run_ledger where step = $step)

        select distinct code_checksum from attempts
        where place >= (select max(place) from attempts where status = 'success')
        """,
        {"step": step},
    ).fetchall()
    return {checksum for (checksum,) in rows}


def is_unpublished(con: duckdb.DuckDBPyConnection, step: str) -> bool:
    """Say whether a step was begun after the last run that ended well."""
    return con.execute(
        """
        select coalesce(max(rowid) filter (step = $step) > max(rowid) filter (step = 'run'), false)
        from raw.run_ledger where step = $step or status = 'success'
        """,
        {"step": step},
    ).fetchone()[0]


def first_start(con: duckdb.DuckDBPyConnection, run_id: str) -> datetime:
    """Return when the first step of a run began."""
    return con.execute("select min(started_at) from raw.run_ledger where run_id = ?", [run_id]).fetchone()[0]


def peak_of_run(con: duckdb.DuckDBPyConnection, run_id: str) -> int | None:
    """Return the most memory, in bytes, that a step of a run took; null where no step was measured."""
    return con.execute("select max(peak_memory_bytes) from raw.run_ledger where run_id = ?", [run_id]).fetchone()[0]


def utc_now() -> datetime:
    """Return the wall clock as naive UTC, as the ledgers keep it."""
    return datetime.now(UTC).replace(tzinfo=None)


def request_recompute(con: duckdb.DuckDBPyConnection, from_date: date, to_date: date, *, cause: str) -> None:
    """Ask the next run to recompute local dates, both ends included, of all tenants."""
    con.execute(
        """
        insert into raw.recompute_requests (request_id, user_id, from_date, to_date, cause, state)
        select coalesce(max(request_id), 0) + 1, null, $from_date, $to_date, $cause, 'pending'
        from raw.recompute_requests
        """,
        {"from_date": from_date, "to_date": to_date, "cause": cause},
    )
