"""A warehouse that is run as its users run it: the command, in a process of its own, on files."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

RUN_SECONDS = 300
LEDGERS = {"load_ledger", "run_ledger", "restatements"}
"""Marts that record what happened: no two ways to the same state agree on them."""
DATED_BY_LOAD = {"rejected_at", "last_loaded_at", "load_id", "file_id", "id"}
"""Columns of the quality marts that name loads, which depend on how files were grouped."""


@dataclass(frozen=True)
class Warehouse:
    """One WAREHOUSE_HOME."""

    home: Path

    @property
    def raw(self) -> Path:
        """Return the folder of raw files."""
        return self.home / "raw"

    def start(self, *arguments: str, before: str = "", **environment: str) -> subprocess.Popen[str]:
        """Start `warehouse …` in a process group of its own; `before` is Python that this process executes first."""
        command = [Path(sys.executable).parent / "warehouse"]
        if before:
            command = [sys.executable, "-c", f"{before}\nfrom orchestration.cli import main\nmain()"]
        return subprocess.Popen(
            [*command, *arguments],
            env=os.environ | {"WAREHOUSE_HOME": str(self.home)} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, expect: int | None = 0, before: str = "", **environment: str) -> str:
        """Run `warehouse …`, by default `warehouse run`; return what it printed. `expect` None: any exit code."""
        process = self.start(*(arguments or ("run",)), before=before, **environment)
        output, _ = process.communicate(timeout=RUN_SECONDS)
        assert expect is None or process.returncode == expect, output
        return output

    @contextmanager
    def release(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the published release as a BI tool does."""
        with duckdb.connect(self.home / "published" / "analytics.duckdb", read_only=True) as con:
            yield con

    def rows(self, sql: str) -> list[tuple]:
        """Return the rows of a query on the published release."""
        with self.release() as con:
            return con.execute(sql).fetchall()

    def frame(self, sql: str) -> pd.DataFrame:
        """Return the result of a query on the published release."""
        with self.release() as con:
            return con.execute(sql).df()

    def marts(self) -> dict[str, set[tuple]]:
        """Return every mart that two runs must agree on, as a set of rows."""
        with self.release() as con:
            columns: dict[str, list[str]] = {}
            # A list is no member of a set: its text is.
            for table, column, name in con.execute("""
                select
                    table_name, column_name,
                    column_name || case when data_type like '%[]' then '::varchar' else '' end
                from duckdb_columns() where schema_name = 'marts' order by column_index
            """).fetchall():
                is_quality = table in {"rejected_events", "rejected_rows", "data_as_of", "segment_assignment_log"}
                if table not in LEDGERS and not (is_quality and column in DATED_BY_LOAD):
                    columns.setdefault(table, []).append(name)
            return {
                table: set(con.execute(f"select {', '.join(names)} from marts.{table}").fetchall())
                for table, names in columns.items()
            }


def land_second_tenant(raw: Path) -> None:
    """Land another shop's events: the same customer ids as the café's, no profiles, no organizations row."""
    folder = raw / "events" / "tea_house"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "events.csv").write_text(
        "user_id,id,customer_id,event_type,event_value,created_at\n"
        "tea_house,1,ana,purchase,5.00,2024-06-01 10:00:00\n"
        "tea_house,2,ben,page_view,,2024-06-02 23:59:59\n"
        "tea_house,3,ben,purchase,7.50,2024-06-03 00:00:00\n"
    )


def land_late_file(raw: Path) -> None:
    """Land events of dates long published, one of them on a date that had none."""
    (raw / "events" / "corner_cafe" / "late.csv").write_text(
        "user_id,id,customer_id,event_type,event_value,event_properties,created_at\n"
        "corner_cafe,late-1,ana,purchase,4.20,,2024-03-05 08:00:00\n"
        "corner_cafe,late-2,cleo,page_view,,,2024-01-07 12:00:00\n"
        'corner_cafe,late-3,dan,refund,3.00,"{""order_id"": ""d2""}",2024-06-20 08:00:00\n'
    )
