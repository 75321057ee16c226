"""What a dbt build has cost, node by node: rows read and written, dates replaced, memory."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from orchestration.home import tables_under
from orchestration.memory import peak_between

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb

    from orchestration.memory import Sample

TOUCHED = {"session_date": "int_touched_session_dates", "change_date": "int_segment_due_dates"}
"""The relation of replaced dates by date column, where it is not int_touched_dates: see macros/replace_dates.sql."""


class Costs:
    """What the nodes of a dbt build read, wrote and took, as the build has left the tables."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        manifest: Mapping[str, Any],
        samples: Sequence[Sample],
        *,
        is_full_refresh: bool,
    ) -> None:
        """Count the rows of every table."""
        tables = con.execute("""
            select schema_name || '.' || table_name from duckdb_tables()
            where database_name = current_database() and not temporary
        """).fetchall()
        self.rows = {table: con.execute(f"select count(*) from {table}").fetchone()[0] for (table,) in tables}
        self._con = con
        self._manifest = manifest
        self._samples = samples
        self._is_full_refresh = is_full_refresh

    def node(self, key: str) -> Mapping[str, Any]:
        """Return what the manifest says of a node."""
        return self._manifest["nodes"][key]

    def table_rows(self, key: str) -> int | None:
        """Return the rows of a node's table; None for views and tests."""
        node = self.node(key)
        return self.rows.get(f"{node['schema']}.{node['alias']}")

    def rows_in(self, key: str) -> int | None:
        """Return the rows of the tables that a model's table is made from."""
        counts = [self.rows.get(table) for table in tables_under(self._manifest, key)]
        return None if None in counts else sum(counts)

    def replaced(self, key: str) -> tuple[int, int]:
        """Return how many (tenant, date) pairs of an incremental model were replaced, and by how many rows."""
        node = self.node(key)
        table, day = f"{node['schema']}.{node['alias']}", node["config"]["date_column"]
        if self._is_full_refresh:
            pairs = f"select count(*) as row_count from {table} group by user_id, {day}"
            return self._con.execute(f"select count(*), coalesce(sum(row_count), 0)::bigint from ({pairs})").fetchone()
        touched = f"intermediate.{TOUCHED.get(day, 'int_touched_dates')}"
        # The bounds let the engine skip what was stored long before.
        return self._con.execute(f"""
            with touched as (select user_id, {day} from {touched})
            select
                (select count(*) from touched),
                (
                    select count(*) from {table}
                    where {day} >= (select min({day}) from touched) and {day} <= (select max({day}) from touched)
                        and (user_id, {day}) in (select user_id, {day} from touched)
                )
        """).fetchone()

    def peak_memory(self, result: Mapping[str, Any]) -> int | None:
        """Return the most memory that dbt's processes took while they worked on a node."""
        moments = [
            datetime.fromisoformat(moment).timestamp()
            for part in result["timing"]
            for moment in (part["started_at"], part["completed_at"])
            if moment
        ]
        return peak_between(self._samples, min(moments), max(moments)) if moments else None
