"""A warehouse small enough to be built within a test: hand-made raw rows in, dbt in this process, SQL out."""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import duckdb
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner

from orchestration import evaluations, predictions
from orchestration.load import create_raw_tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dbt.artifacts.schemas.run import RunResult
    from dbt.contracts.graph.manifest import Manifest

PROJECT_DIR = Path(__file__).resolve().parents[1]
LOADED_AT = "2024-11-10 03:00:00"

Row = dict[str, Any]


def event(customer_id: str, created_at: str, event_type: str = "page_view", **columns: Any) -> Row:  # noqa: ANN401 - any column of raw.events
    """Return a row of raw.events (times in UTC); its id is made from the tenant and its own values."""
    row = {"user_id": "shop", "customer_id": customer_id, "event_type": event_type, "created_at": created_at} | columns
    key = hashlib.md5(repr(sorted(row.items())).encode(), usedforsecurity=False).hexdigest()
    return {"event_id": uuid.UUID(key), "source_event_id": key} | row


def customer(customer_id: str, updated_at: str, **columns: Any) -> Row:  # noqa: ANN401 - any column of raw.customers
    """Return a row of raw.customers: one version of a profile."""
    return {"row_id": uuid.uuid4(), "user_id": "shop", "customer_id": customer_id, "updated_at": updated_at} | columns


def organization(user_id: str, updated_at: str, **columns: Any) -> Row:  # noqa: ANN401 - any column of raw.organizations
    """Return a row of raw.organizations: one version of a tenant's own row."""
    return {"row_id": uuid.uuid4(), "user_id": user_id, "updated_at": updated_at} | columns


def assignment(segment_key: str, customer_id: str, at: str, action: str = "add", **columns: Any) -> Row:  # noqa: ANN401 - any column of raw.segment_assignments
    """Return a row of raw.segment_assignments: one decision about a customer and a manual segment."""
    key = {"row_id": uuid.uuid4(), "user_id": "shop", "segment_key": segment_key, "customer_id": customer_id}
    return key | {"action": action, "updated_at": at} | columns


def score(customer_id: str, updated_at: str, **columns: Any) -> Row:  # noqa: ANN401 - any column of the raw table
    """Return a row of raw.churn_scores or raw.ltv_predictions: what somebody says of a customer, as of a time."""
    return {"row_id": uuid.uuid4(), "user_id": "shop", "customer_id": customer_id, "updated_at": updated_at} | columns


@dataclass(frozen=True)
class SmallWarehouse:
    """A WAREHOUSE_HOME with its database, and dbt over a manifest that was parsed once."""

    home: Path
    manifest: Manifest
    project: Path = PROJECT_DIR
    """The project whose seeds are read, which a test may have copied and changed."""

    @property
    def database(self) -> Path:
        """Return the working database."""
        return self.home / "warehouse.duckdb"

    @contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the database; nobody else may have it open meanwhile."""
        with duckdb.connect(self.database) as con:
            con.execute("set TimeZone = 'UTC'")
            yield con

    def __post_init__(self) -> None:
        """Refuse a manifest of another project: dbt-duckdb reads seeds where they were when it was parsed."""
        seeds = (node for node in self.manifest.nodes.values() if node.resource_type == "seed")
        roots = {Path(seed.root_path).resolve() for seed in seeds}
        if roots != {self.project.resolve()}:
            message = f"the manifest is of {roots}, the project is {self.project}: parse_project"
            raise ValueError(message)

    def create(self) -> SmallWarehouse:
        """Make the folder and the empty raw tables."""
        self.home.mkdir(parents=True, exist_ok=True)
        with self.connect() as con:
            create_raw_tables(con)
        return self

    def copy_to(self, home: Path) -> SmallWarehouse:
        """Copy the database into another home."""
        home.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.database, home / self.database.name)
        return SmallWarehouse(home, self.manifest, self.project)

    def execute(self, *statements: str) -> None:
        """Run SQL statements."""
        with self.connect() as con:
            for statement in statements:
                con.execute(statement)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with self.connect() as con:
            return con.execute(sql).fetchall()

    def load(  # noqa: PLR0913 - one argument a feed
        self,
        *,
        events: Sequence[Row] = (),
        customers: Sequence[Row] = (),
        organizations: Sequence[Row] = (),
        segment_assignments: Sequence[Row] = (),
        churn_scores: Sequence[Row] = (),
        ltv_predictions: Sequence[Row] = (),
        loaded_at: str = LOADED_AT,
    ) -> None:
        """Do what the load step does: one pending load of one file for each feed that has rows."""
        feeds = {
            "events": events,
            "customers": customers,
            "organizations": organizations,
            "segment_assignments": segment_assignments,
            "churn_scores": churn_scores,
            "ltv_predictions": ltv_predictions,
        }
        with self.connect() as con:
            for feed, rows in feeds.items():
                if rows:
                    _insert_load(con, feed, rows, loaded_at)

    def withdraw(self, load_id: int) -> None:
        """Do what withdrawing an events file does: its rows go, and their UTC dates, a day wider, are asked for."""
        self.execute(
            f"""
            insert into raw.recompute_requests by name
            select
                {load_id} as request_id, user_id, min(created_at)::date - 1 as from_date,
                max(created_at)::date + 1 as to_date, 'withdrawn' as cause, 'pending' as state
            from raw.events where load_id = {load_id} group by user_id
            """,
            f"delete from raw.events where load_id = {load_id}",
            f"delete from raw.tenant_loads where load_id = {load_id}",
            f"update raw.load_ledger set state = 'withdrawn' where load_id = {load_id}",
        )

    def publish(self) -> None:
        """Do what publishing does to the ledgers: nothing is pending any more."""
        self.execute(
            "update raw.load_ledger set state = 'published' where state = 'pending'",
            "update raw.recompute_requests set state = 'published' where state = 'pending'",
        )
        with self.connect() as con:
            evaluations.remember(con)
            predictions.remember(con)

    def dbt(self, *arguments: str) -> dict[str, RunResult]:
        """Run dbt in this process and return the results by node name; raise when dbt itself breaks."""
        quiet = [
            "--quiet",
            "--log-level",
            "none",
            "--log-level-file",
            "none",
            "--no-write-json",
            "--cache-selected-only",
        ]
        folders = ["--project-dir", str(self.project), "--profiles-dir", str(self.project)]
        written = ["--target-path", str(self.home / "target"), "--log-path", str(self.home / "logs")]
        with mock.patch.dict(os.environ, {"WAREHOUSE_HOME": str(self.home)}):
            outcome = dbtRunner(manifest=self.manifest).invoke([*arguments, *quiet, *folders, *written])
        # dbt-duckdb keeps its connection for the next run, and so what was written in a file beside the database.
        DuckDBConnectionManager.env().close()
        DuckDBConnectionManager.close_all_connections()
        if outcome.exception:
            raise outcome.exception
        return {result.node.name: result for result in outcome.result}

    def build(self, *arguments: str) -> None:
        """Run seeds and models (no tests) and raise unless all succeed."""
        results = self.dbt(
            "build", "--exclude-resource-type", "test", "--exclude-resource-type", "unit_test", *arguments
        )
        broken = {name: result.message for name, result in results.items() if result.status not in {"success", "pass"}}
        if broken:
            raise AssertionError(broken)

    def failing_tests(self, *arguments: str) -> dict[str, str]:
        """Run `dbt test` and return the status of every test that did not pass."""
        results = self.dbt("test", *arguments)
        if not results:
            raise AssertionError(f"no test is selected by {arguments}")
        return {name: str(result.status) for name, result in results.items() if result.status != "pass"}


def parse_project(target: Path, project_dir: Path = PROJECT_DIR) -> Manifest:
    """Parse the project once; runs over the manifest need no parsing any more."""
    folders = ["--project-dir", str(project_dir), "--profiles-dir", str(project_dir)]
    quiet = ["--quiet", "--log-level", "none", "--log-level-file", "none"]
    with mock.patch.dict(os.environ, {"WAREHOUSE_HOME": str(target)}):
        outcome = dbtRunner().invoke(
            ["parse", *quiet, *folders, "--target-path", str(target), "--log-path", str(target)]
        )
    if outcome.exception:
        raise outcome.exception
    return outcome.result


def _insert_load(con: duckdb.DuckDBPyConnection, feed: str, rows: Sequence[Row], loaded_at: str) -> None:
    (number,) = con.execute("select coalesce(max(load_id), 0) + 1 from raw.load_ledger").fetchone()
    for record_number, row in enumerate(rows, start=1):
        values = row | {"load_id": number, "file_id": number, "record_number": record_number}
        con.execute(
            f"insert into raw.{feed} ({', '.join(values)}) values ({', '.join('?' * len(values))})",
            list(values.values()),
        )
    con.execute(
        """
        insert into raw.load_ledger by name
        select
            $number as file_id, $number as load_id, $feed as feed, $feed || '/' || $number || '.csv' as path,
            $rows as row_count, $rows as kept_count, 0 as rejected_count, 0 as duplicate_count, 0 as conflict_count,
            0 as missing_line_count, 'pending' as state, $loaded_at::timestamp as loaded_at
        """,
        {"number": number, "feed": feed, "rows": len(rows), "loaded_at": loaded_at},
    )
    con.execute(
        f"""
        insert into raw.tenant_loads by name
        select user_id, '{feed}' as feed, load_id, $loaded_at::timestamp as loaded_at, count(*) as row_count
        from raw.{feed} where load_id = $number group by user_id, load_id
        """,
        {"number": number, "loaded_at": loaded_at},
    )


def show_as_release(con: duckdb.DuckDBPyConnection, database: Path) -> None:
    """Give a connection the tables of a built warehouse under the names that they have in a release."""
    con.execute(f"attach '{database}' as built (read_only)")
    con.execute("attach ':memory:' as restricted")
    con.execute("create schema marts")
    tables = con.execute(
        "select schema_name, table_name from duckdb_tables() where database_name = 'built' "
        "and schema_name in ('marts', 'restricted')"
    ).fetchall()
    for schema, table in tables:
        target = f"marts.{table}" if schema == "marts" else f"restricted.{table}"
        con.execute(f"create table {target} as from built.{schema}.{table}")
