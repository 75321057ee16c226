"""A feature of a date knows nothing of what came after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from small_warehouse import SmallWarehouse, event

if TYPE_CHECKING:
    from pathlib import Path

    from dbt.contracts.graph.manifest import Manifest

DATE = "2024-05-31"
VARIABLES = f"{{feature_dates: ['{DATE}']}}"


def bought(customer_id: str, at: str, value: float, order_id: str, event_type: str = "purchase") -> dict[str, Any]:
    return event(customer_id, at, event_type, event_value=value, event_properties=f'{{"order_id": "{order_id}"}}')


BEFORE = [
    bought("jane", "2024-01-05 10:00:00", 30, "j1"),
    bought("jane", "2024-05-31 23:50:00", 20, "j2"),
    event("jane", "2024-05-31 23:55:00", session_id="late"),
    bought("joe", "2024-03-01 10:00:00", 10, "o1"),
    event("joe", "2024-05-30 10:00:00", "support_ticket"),
    event("browser", "2024-05-30 10:00:00"),
]
AFTER = [
    # A session goes on after midnight, an order gets another line, another one is paid back, and a browser buys.
    event("jane", "2024-06-01 00:05:00", session_id="late"),
    bought("jane", "2024-06-01 00:10:00", 500, "j2"),
    bought("jane", "2024-06-02 10:00:00", 30, "j1", "refund"),
    bought("joe", "2024-06-01 00:00:00", 999, "o2"),
    event("joe", "2024-06-03 10:00:00", "email_open"),
    bought("browser", "2024-06-04 10:00:00", 10, "b1"),
]


def _features(warehouse: SmallWarehouse) -> list[tuple[Any, ...]]:
    warehouse.build("--select", "+customer_features", "--vars", VARIABLES)
    return warehouse.query(
        f"select * exclude (is_current) from marts.customer_features where as_of_date = '{DATE}' order by customer_id"
    )


def test_events_after_a_date_change_no_feature_of_it(tmp_path: Path, dbt_manifest: Manifest) -> None:
    warehouse = SmallWarehouse(tmp_path / "home", dbt_manifest).create()
    warehouse.load(events=BEFORE, loaded_at="2024-06-01 03:00:00")
    before = _features(warehouse)
    warehouse.publish()
    warehouse.load(events=AFTER, loaded_at="2024-06-30 03:00:00")
    after = _features(warehouse)
    assert [row[1] for row in before] == ["jane", "joe"]
    # The rank is among all who ever bought: it decides who is learned from, and is no feature.
    names = [column for (column,) in warehouse.query("select column_name from (describe marts.customer_features)")]
    place = names.index("sample_rank")
    assert [row[:place] + row[place + 1 :] for row in after] == [row[:place] + row[place + 1 :] for row in before]
