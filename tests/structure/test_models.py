"""The dbt unit tests, which production leaves out: every boundary that a sentence of docs/metrics.md names.

And what a run reads of the events.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from small_warehouse import SmallWarehouse


def test_unit_tests_of_the_models_pass(copied_warehouse: SmallWarehouse) -> None:
    results = copied_warehouse.dbt("test", "--select", "test_type:unit")
    failed = {name: result.message for name, result in results.items() if result.status != "pass"}
    assert failed == {}
    assert len(results) > 70


def test_where_no_event_came_none_is_read(copied_warehouse: SmallWarehouse) -> None:
    """A range whose bounds are null is looked at after all events were read, and personal data reduced in them."""
    copied_warehouse.publish()
    results = copied_warehouse.dbt("run", "--select", "int_touched_dates", "customer_behavior_events")
    select = results["customer_behavior_events"].node.compiled_code
    assert copied_warehouse.query("select count(*) from intermediate.int_touched_dates") == [(0,)]
    assert _events_read(copied_warehouse, "select * from staging.stg_events") > 100
    assert _events_read(copied_warehouse, select) == 0


def _events_read(warehouse: SmallWarehouse, select: str) -> int:
    with warehouse.connect() as con:
        plan = json.loads(con.execute(f"explain (analyze, format json) {select}").fetchall()[0][1])
    return sum(_rows_scanned(plan["operator"], "events"))


def _rows_scanned(operators: list[dict[str, Any]], table: str) -> list[int]:
    """Return how many rows each scan of a table in a plan read."""
    scans = [node for node in operators if node["extra_info"].get("Table", "").endswith(f".{table}")]
    below = [rows for node in operators for rows in _rows_scanned(node.get("children", []), table)]
    return [node["rows_scanned"] for node in scans] + below
