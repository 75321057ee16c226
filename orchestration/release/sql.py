"""Small pieces of SQL that all of releasing uses; catalog `release` is the analytics.duckdb at hand."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC
from typing import TYPE_CHECKING

from orchestration.release.records import MARTS_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from duckdb import DuckDBPyConnection

    from orchestration.release.records import PublishedMart


WRITE_FILES_ITSELF = "set async_threads = 0"
"""For connections that write Parquet: DuckDB 2.0.0's threads for writing wait for each other for ever, once in some 300
writes, when a full disk stops one of them. Without them nothing is slower on a local disk."""


def identifier(name: str) -> str:
    """Quote a name for SQL."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def literal(path: Path) -> str:
    """Write a path as an SQL literal."""
    escaped = str(path).replace("'", "''")
    return f"'{escaped}'"


def naive_utc(moment: datetime) -> datetime:
    """Return a moment as the warehouse's timestamps hold it: UTC without a zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)


@contextmanager
def attached(con: DuckDBPyConnection, path: Path, alias: str, options: str = "") -> Iterator[None]:
    """Attach a database under a name while something is done with it."""
    con.execute(f"attach {literal(path)} as {alias} {options}")
    try:
        yield
    finally:
        con.execute(f"detach {alias}")


def in_release(name: str) -> str:
    """Return the name of a mart in catalog `release`."""
    return f"release.{MARTS_SCHEMA}.{identifier(name)}"


def column_list(mart: PublishedMart) -> str:
    """Return the select list of a mart's columns."""
    return ", ".join(map(identifier, mart.columns))


def create_view(con: DuckDBPyConnection, name: str, mart: PublishedMart, files: Sequence[Path]) -> None:
    """Create the view of a mart over its Parquet files."""
    paths = ", ".join(map(literal, files))
    con.execute(f"""
        create or replace view {in_release(name)} as
        select {column_list(mart)} from read_parquet([{paths}])
    """)
