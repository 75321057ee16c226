"""The scratch database: the working raw tables under the models' own names, and dbt's run over them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import duckdb

from orchestration.home import DBT, PROJECT_DIR
from orchestration.release.sql import attached, identifier

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date
    from pathlib import Path

    from orchestration.home import Home

DBT_TARGET = "verify"
"""The target in profiles.yml that writes to the scratch database."""

DBT_LOG = "verify.log"
"""What dbt said in the last verification, in WAREHOUSE_HOME."""

MODELS_ONLY = ("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")


class RebuildError(RuntimeError):
    """Dbt could not rebuild the models."""


@contextmanager
def scratch_folder(home: Home) -> Iterator[None]:
    """Have an empty scratch folder; it goes whatever happens, and what a killed verification left goes first."""
    shutil.rmtree(home.scratch, ignore_errors=True)
    home.scratch.mkdir(parents=True)
    try:
        yield
    finally:
        shutil.rmtree(home.scratch, ignore_errors=True)


@contextmanager
def opened(home: Home, database: Path | str) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a database within the home's limits; what it spills goes with the scratch folder."""
    with duckdb.connect(database, config=home.settings | {"temp_directory": str(home.scratch / "spill")}) as con:
        con.execute("set TimeZone = 'UTC'")
        # Else it runs through the lines that people read.
        con.execute("set enable_progress_bar = false")
        yield con


@contextmanager
def scratch_database(home: Home) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the scratch database for writing, the working one beside it as `working`, for reading only."""
    with (
        opened(home, home.scratch / home.database.name) as con,
        attached(con, home.database, "working", "(read_only)"),
    ):
        yield con


def show_raw_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Give the scratch database every raw table of the working one, as a view: nothing is copied."""
    con.execute("create schema raw")
    tables = con.execute(
        "select table_name from duckdb_tables() where database_name = 'working' and schema_name = 'raw'"
    ).fetchall()
    for name in (identifier(table) for (table,) in tables):
        con.execute(f"create view raw.{name} as from working.raw.{name}")


def rebuild(home: Home, arguments: Sequence[str], as_of: date | None = None) -> None:
    """Run dbt into the scratch database: seeds and models as `arguments` select them, no tests."""
    command = [str(DBT), "--no-use-colors", "build", "--target", DBT_TARGET, *MODELS_ONLY, *arguments]
    folders = ["--target-path", str(home.scratch / "target"), "--log-path", str(home.scratch / "logs")]
    variables = ["--vars", json.dumps({"as_of_date": as_of.isoformat()})] if as_of else []
    with (home.path / DBT_LOG).open("w", encoding="utf-8") as log:
        outcome = subprocess.run(  # noqa: S603 - our own dbt, arguments of our own
            [*command, *folders, *variables],
            cwd=PROJECT_DIR,
            env=os.environ | {"WAREHOUSE_HOME": str(home.path)},
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if outcome.returncode:
        raise RebuildError(f"dbt could not rebuild the models: see {home.path / DBT_LOG}")
