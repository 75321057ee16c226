"""Building: the files of one release, from the marts in the warehouse."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from datetime import date, timedelta
from typing import TYPE_CHECKING

from orchestration.quality.release_gate import tenant_column
from orchestration.release.folders import files_under, link_or_copy, sync
from orchestration.release.planning import Rows, plan_files, touched_dates
from orchestration.release.records import (
    ANALYTICS,
    MARTS_SCHEMA,
    PARQUET,
    RESTRICTED,
    DatedFile,
    PublishedMart,
    ReleaseError,
)
from orchestration.release.sql import attached, create_view, identifier, in_release, literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from duckdb import DuckDBPyConnection

    from orchestration.release.records import Mart, Release

log = logging.getLogger(__name__)

STORAGE_VERSION = "v1.2.0"
"""Newest storage format that DuckDB 1.4 and 1.5 still read."""
COMPRESSION = "snappy"
"""zstd makes files a fifth to a third smaller, and takes a fifth to a half more processor time to write."""
_STORAGE = f"(storage_version '{STORAGE_VERSION}')"
WITH_STATES_OF_LOADS = ("load_ledger", "score_loads")
"""Marts whose column `state` is that of a load."""


class Builder:
    """Writes the files of one release; catalog `release` is its analytics.duckdb."""

    def __init__(self, con: DuckDBPyConnection, folder: Path, release_id: str, reusable: Release | None) -> None:
        """Build into a folder; `reusable` is the release whose untouched months are linked, if any."""
        self.con = con
        self.folder = folder
        self.release_id = release_id
        self.reusable = reusable
        self.marts: dict[str, PublishedMart] = {}
        self.as_of: dict[str, date] = {}
        self.corrected: list[str] = []

    @contextmanager
    def analytics(self) -> Iterator[None]:
        """Attach a new analytics.duckdb; on leaving, it is checkpointed, closed and on disk."""
        with attached(self.con, self.folder / ANALYTICS, "release", _STORAGE):
            self.con.execute(f"create schema release.{MARTS_SCHEMA}")
            yield
        sync(self.folder / ANALYTICS)

    def build_marts(self, marts: Sequence[Mart]) -> dict[str, PublishedMart]:
        """Write every mart, and what the release says about its as-of dates."""
        touched = touched_dates(self.con, marts) if self.reusable else {}
        for mart in marts:
            started = time.perf_counter()
            is_dated = mart.date_column is not None
            self.marts[mart.name] = self._build_dated(mart, touched.get(mart.name)) if is_dated else self._copy(mart)
            self._tell(mart.name, time.perf_counter() - started)
        self._create_views()
        self.as_of = _as_of_dates(self.con, self.marts)
        return self.marts

    def build_restricted(self, models: Sequence[Mart]) -> None:
        """Write restricted.duckdb, readable by its owner only.

        Its tables stand in schema main, because a database named like one of its schemas makes
        every name in it ambiguous: so `restricted.customer_contacts` works wherever it is attached.
        """
        require_built(self.con, models)
        path = self.folder / RESTRICTED
        with attached(self.con, path, "contacts", _STORAGE):
            for model in models:
                _copy_table(self.con, model, f"contacts.{identifier(model.name)}")
        path.chmod(0o600)
        sync(path)

    def _copy(self, mart: Mart) -> PublishedMart:
        rows = _copy_table(self.con, mart, in_release(mart.name))
        return PublishedMart("table", rows, _columns(self.con, mart.relation))

    def _build_dated(self, mart: Mart, touched: set[date] | None) -> PublishedMart:
        columns = _columns(self.con, mart.relation)
        (self.folder / PARQUET / mart.name).mkdir(parents=True)
        former = self._former_files(mart, columns)
        plan = plan_files(mart.name, _count_dates(self.con, mart), former, touched)
        self.corrected += plan.corrected
        for finding in plan.corrected:
            log.warning("%s: written anew", finding)
        files = [self._link(file) for file in plan.link.values()]
        files += [self._write(mart, columns, *period) for period in plan.write.items()]
        # A view needs a file to take its columns from.
        files = files or [self._write(mart, columns, "empty", Rows(0))]
        files.sort(key=lambda file: file.period)
        return PublishedMart("parquet", sum(f.rows for f in files), columns, tuple(files))

    def _former_files(self, mart: Mart, columns: dict[str, str]) -> dict[str, DatedFile]:
        """Return the last release's files that still have the mart's columns and are as written."""
        former = self.reusable.marts.get(mart.name) if self.reusable else None
        if former is None or list(former.columns.items()) != list(columns.items()):
            return {}
        return {
            file.period: file
            for file in former.files
            if (source := self._former_path(file)).is_file()
            if source.stat().st_size == file.size_bytes
        }

    def _former_path(self, file: DatedFile) -> Path:
        return self.folder.parent / self.reusable.release_id / file.path

    def _link(self, file: DatedFile) -> DatedFile:
        link_or_copy(self._former_path(file), self.folder / file.path)
        return file

    def _write(self, mart: Mart, columns: dict[str, str], period: str, rows: Rows) -> DatedFile:
        relative = f"{PARQUET}/{mart.name}/{period}.parquet"
        path = self.folder / relative
        self.con.execute(f"""
            copy (
                select * from {mart.relation}
                where {_within(mart.date_column, period) if rows.count else "false"}
                {_order_by(columns, mart.date_column)}
            )
            to {literal(path)} (format parquet, compression {COMPRESSION})
        """)
        # Releases share the file, so nobody may write to it.
        path.chmod(0o444)
        sync(path)
        content = None if rows.content is None else str(rows.content)
        return DatedFile(period, relative, rows.count, path.stat().st_size, self.release_id, content)

    def _create_views(self) -> None:
        """Create the views over the paths that the files will have.

        DuckDB reads a view's files when it is created: a symlink stands in for the folder.
        """
        final = self.folder.parent / self.release_id
        final.symlink_to(self.folder.name)
        try:
            for name, mart in self.marts.items():
                if mart.kind == "parquet":
                    create_view(self.con, name, mart, files_under(final, mart))
        finally:
            final.unlink()

    def _tell(self, name: str, seconds: float) -> None:
        mart = self.marts[name]
        written = sum(file.written_by == self.release_id for file in mart.files)
        log.info(
            "%s: %s rows%s in %.1f s",
            name,
            f"{mart.rows:,}",
            f", {written} of {len(mart.files)} files written" if mart.files else "",
            seconds,
        )


def require_built(con: DuckDBPyConnection, marts: Sequence[Mart]) -> None:
    """Raise ReleaseError, naming them, when models have not been built."""
    relations = con.execute("""
        select table_schema, table_name
        from information_schema.tables
        where table_catalog = current_database()
    """).fetchall()
    built = {".".join(map(identifier, relation)) for relation in relations}
    if missing := [mart.name for mart in marts if mart.relation not in built]:
        message = f"not in the warehouse, so not publishable: {', '.join(missing)}"
        raise ReleaseError(message)


def _columns(con: DuckDBPyConnection, relation: str) -> dict[str, str]:
    described = con.execute(f"describe select * from {relation}").fetchall()
    return {column: data_type for column, data_type, *_ in described}


def _copy_table(con: DuckDBPyConnection, mart: Mart, target: str) -> int:
    """Copy a mart into a table sorted by its keys and return its rows."""
    # Loads that are still pending are published by the swap that makes this table readable.
    columns = (
        "* replace (case state when 'pending' then 'published' else state end as state)"
        if mart.name in WITH_STATES_OF_LOADS
        else "*"
    )
    order = _order_by(_columns(con, mart.relation))
    created = con.execute(f"create table {target} as select {columns} from {mart.relation} {order}")
    return created.fetchone()[0]


def _order_by(columns: Mapping[str, str], date_column: str | None = None) -> str:
    keys = ("user_id", "organization_id", "customer_id", date_column, "id")
    order = [identifier(key) for key in keys if key in columns]
    return f"order by {', '.join(order)}" if order else ""


def _count_dates(con: DuckDBPyConnection, mart: Mart) -> dict[date, Rows]:
    """Count a mart's rows by date; a row without a date would be in no file, so it is an error."""
    content = "bit_xor(hash(published))" if mart.is_compared else "null"
    dates = con.execute(f"""
        select cast({identifier(mart.date_column)} as date) as day, count(*), {content}
        from {mart.relation} as published
        group by day
        order by day
    """).fetchall()
    counts = {day: Rows(count, content) for day, count, content in dates}
    if undated := counts.get(None):
        message = f"{mart.name}: {undated.count:,} rows have no {mart.date_column}"
        raise ReleaseError(message)
    return counts


def _within(date_column: str, period: str) -> str:
    """Return the condition that a row lies in a month, YYYY-MM, or on a day, YYYY-MM-DD."""
    is_day = len(period) == len("YYYY-MM-DD")
    first = date.fromisoformat(period if is_day else f"{period}-01")
    after = first + timedelta(days=1) if is_day else (first + timedelta(days=31)).replace(day=1)
    column = identifier(date_column)
    return f"{column} >= date '{first}' and {column} < date '{after}'"


def _as_of_dates(con: DuckDBPyConnection, marts: Mapping[str, PublishedMart]) -> dict[str, date]:
    """Return the as-of date per tenant that the release's own data_as_of tells."""
    mart = marts.get("data_as_of")
    tenant = tenant_column(mart.columns) if mart else None
    if tenant is None:
        return {}
    dates = con.execute(f"""
        select {tenant}, max(as_of_date)
        from {in_release("data_as_of")}
        where as_of_date is not null
        group by {tenant}
        order by {tenant}
    """).fetchall()
    return dict(dates)
