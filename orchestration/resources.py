"""What Dagster hands to the steps of a run: the warehouse, held alone, and the run's wishes."""

from __future__ import annotations

import os
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from orchestration import last_run
from orchestration.home import Home, duckdb_memory, exclusive, warehouse_home
from orchestration.parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Iterator


class WarehouseResource(dg.ConfigurableResource):
    """The warehouse of this WAREHOUSE_HOME, held alone for the length of a run."""

    @property
    def home(self) -> Home:
        """Return the places of the warehouse."""
        return Home(warehouse_home())

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[WarehouseResource]:
        """Hold the run lock while the run's steps go on."""
        # dbt's profile reads it: `dagster dev` starts runs without the command that sets it.
        os.environ["WAREHOUSE_DUCKDB_MEMORY"] = duckdb_memory()
        with exclusive(self.home, f"run {context.run_id}"), last_run.told(self.home, context.run_id):
            yield self


class Wishes(dg.ConfigurableResource):
    """What this run is asked for, the same for all its steps."""

    as_of_date: str = ""
    full_refresh: bool = False
    accept_release: bool = False
    output: str = ""
    test_all_history: bool = False
    retrain: bool = False

    @property
    def parameters(self) -> Parameters:
        """Return the wishes as typed parameters."""
        day = date.fromisoformat(self.as_of_date) if self.as_of_date else None
        output = Path(self.output) if self.output else None
        return Parameters(day, self.full_refresh, self.accept_release, output, self.test_all_history, self.retrain)
