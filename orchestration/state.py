"""What the working warehouse holds, and what waits for a build, read from the ledgers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestration import ledger
from orchestration.home import Home, project_checksum
from orchestration.parameters import MODELS_STEP, State

if TYPE_CHECKING:
    from datetime import date

    import duckdb


def waiting(con: duckdb.DuckDBPyConnection, home: Home) -> State:
    """Read what waits for a build from the ledgers."""
    count = "select count(*) from raw.{} where state = 'pending'"
    published = (home.path / "published" / "current").exists()
    return State(
        pending_loads=con.execute(count.format("load_ledger")).fetchone()[0],
        pending_requests=con.execute(count.format("recompute_requests")).fetchone()[0],
        built_checksum=ledger.last_checksum(con, "run") if published else None,
        current_checksum=project_checksum(),
        was_as_of_given=as_of_given(con) is not None,
        is_build_unfinished=ledger.is_unpublished(con, MODELS_STEP),
    )


def is_built(con: duckdb.DuckDBPyConnection, table: str) -> bool:
    """Say whether the working warehouse has a table; it is named with its schema."""
    found = "select count(*) from duckdb_tables() where schema_name || '.' || table_name = ?"
    return con.execute(found, [table]).fetchall() != [(0,)]


def as_of_given(con: duckdb.DuckDBPyConnection) -> date | None:
    """Return the as-of date that the working marts were built for by hand; None where the clock's rule decided."""
    if not is_built(con, "intermediate.int_tenant_clock"):
        return None
    given = "select max(as_of_date) from intermediate.int_tenant_clock where as_of_basis = 'given'"
    return con.execute(given).fetchone()[0]
