"""Touched dates are replaced whole, others left alone; any order of runs ends like one full refresh (DESIGN.md D3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from small_warehouse import assignment, event, organization

if TYPE_CHECKING:
    from pathlib import Path

    from small_warehouse import SmallWarehouse

EVENT_TABLES = {
    "marts.customer_behavior_events": "event_date",
    "marts.event_completeness": "event_date",
    "intermediate.int_sessions": "session_date",
    "marts.order_lines": "event_date",
    "marts.refunds": "event_date",
    "marts.customer_daily": "event_date",
}
SECOND_LOADED_AT = "2024-11-11 03:00:00"
EMPTY_DATE = "2023-12-24"
"""A day on which nothing happened before the second load: it brings the only events of all marts."""


def run(warehouse: SmallWarehouse, *arguments: str) -> SmallWarehouse:
    """Run the event-level marts with what they read. Seeds are there already; later rooms are rebuilt whole anyway."""
    warehouse.build("--select", "+path:models/marts/events", "--exclude-resource-type", "seed", *arguments)
    return warehouse


def differences(left: SmallWarehouse, right: SmallWarehouse) -> dict[str, int]:
    """Return the tables of two warehouses that differ, with the number of rows that only one of them has."""
    with duckdb.connect() as con:
        con.execute(f"attach '{left.database}' as one (read_only); attach '{right.database}' as other (read_only)")
        tables = con.execute(
            """
            select distinct schema_name || '.' || table_name from duckdb_tables()
            where schema_name in ('intermediate', 'marts', 'restricted') and table_name <> 'rejected_texts'
            """
        ).fetchall()
        counts = {
            table: con.execute(
                f"""
                select count(*) from (
                    (from one.{table} except all from other.{table})
                    union all (from other.{table} except all from one.{table})
                )
                """
            ).fetchone()[0]
            for (table,) in tables
        }
    assert counts.keys() >= EVENT_TABLES.keys()
    return {table: count for table, count in counts.items() if count}


def assert_equals_full_refresh(warehouse: SmallWarehouse, folder: Path) -> None:
    """Compare every table with one full refresh from the same raw tables."""
    refreshed = run(warehouse.copy_to(folder / "refreshed"), "--full-refresh")
    assert differences(warehouse, refreshed) == {}


def dates(warehouse: SmallWarehouse, mart: str, user_id: str) -> set[str]:
    """Return the dates on which an event-level mart has rows of a tenant."""
    rows = warehouse.query(f"select distinct {EVENT_TABLES[mart]} from {mart} where user_id = '{user_id}'")
    return {f"{value:%Y-%m-%d}" for (value,) in rows}


@pytest.fixture(scope="module")
def second_load(
    built_warehouse: SmallWarehouse, tmp_path_factory: pytest.TempPathFactory
) -> tuple[SmallWarehouse, int]:
    """Bring late events, a new day, an old empty date and a third tenant; return the load's number."""
    warehouse = built_warehouse.copy_to(tmp_path_factory.mktemp("second"))
    warehouse.publish()
    order = '{"order_id":"customer-03-0"}'
    noon = f"{EMPTY_DATE} 12:00:00"
    warehouse.load(
        events=[
            event("customer-03", "2024-10-19 07:20:00", event_category="website"),
            event("customer-03", "2024-10-20 12:00:00", "purchase", event_value=7, event_properties=order),
            event("customer-03", "2024-11-10 12:00:00", "refund", event_value=3, event_properties=order),
            event("customer-04", "2024-11-10 01:30:00"),
            event("christmas", noon),
            event("christmas", noon, "purchase", event_value=5),
            event("christmas", noon, "refund", event_value=5),
            event("guest", noon, "purchase", event_value=5, user_id="kiosk"),
        ],
        loaded_at=SECOND_LOADED_AT,
    )
    (load_id,) = warehouse.query("select max(load_id) from raw.load_ledger")[0]
    run(warehouse)
    return warehouse, load_id


@pytest.fixture
def published(second_load: tuple[SmallWarehouse, int], tmp_path: Path) -> tuple[SmallWarehouse, int]:
    """Return a copy of the warehouse with both loads published."""
    warehouse = second_load[0].copy_to(tmp_path / "published")
    warehouse.publish()
    return warehouse, second_load[1]


def test_late_events_and_a_new_day_equal_a_full_refresh(
    second_load: tuple[SmallWarehouse, int], tmp_path: Path
) -> None:
    warehouse, _ = second_load
    assert all(EMPTY_DATE in dates(warehouse, mart, "shop") for mart in EVENT_TABLES)
    assert_equals_full_refresh(warehouse, tmp_path)


def test_batches_change_no_row(
    second_load: tuple[SmallWarehouse, int], built_warehouse: SmallWarehouse, tmp_path: Path
) -> None:
    """A full refresh and many touched dates, cut into batches of a month each."""
    warehouse, _ = second_load
    batches = ("--vars", '{"events_per_batch": 1}')
    again = warehouse.copy_to(tmp_path / "again")
    run(again, *batches)
    assert differences(warehouse, again) == {}
    refreshed = built_warehouse.copy_to(tmp_path / "refreshed")
    (months,) = refreshed.query("select count(distinct date_trunc('month', event_date)) from marts.customer_daily")[0]
    assert months > 3
    run(refreshed, "--full-refresh", *batches)
    assert differences(built_warehouse, refreshed) == {}


def test_an_emptied_date_loses_its_rows(published: tuple[SmallWarehouse, int], tmp_path: Path) -> None:
    warehouse, load_id = published
    warehouse.withdraw(load_id)
    run(warehouse)
    for mart in EVENT_TABLES:
        assert EMPTY_DATE not in dates(warehouse, mart, "shop"), mart
        assert dates(warehouse, mart, "kiosk") == set(), f"{mart}: no load has rows of the tenant any more"
    assert_equals_full_refresh(warehouse, tmp_path)


def test_an_untouched_tenant_keeps_its_rows_on_a_touched_date(published: tuple[SmallWarehouse, int]) -> None:
    warehouse, _ = published
    day = "2024-11-09"
    columns = {
        "marts.customer_behavior_events": "browser",
        "intermediate.int_sessions": "landing_page",
        "marts.customer_daily": "first_event_type",
    }
    warehouse.execute(*(f"update {mart} set {column} = 'marker'" for mart, column in columns.items()))
    warehouse.load(events=[event("customer-05", f"{day} 15:00:00")], loaded_at=SECOND_LOADED_AT)
    run(warehouse)
    for mart, column in columns.items():
        marked = f"select bool_and({column} is not distinct from 'marker') from {mart}"
        on_the_day = f"{EVENT_TABLES[mart]} = '{day}'"
        assert warehouse.query(f"{marked} where user_id = 'bank' and {on_the_day}") == [(True,)], mart
        assert warehouse.query(f"{marked} where user_id = 'shop' and {EVENT_TABLES[mart]} < '2024-11-08'") == [
            (True,)
        ], mart
        unmarked = f"select count(*) from {mart} where user_id = 'shop' and {on_the_day} and {column} = 'marker'"
        assert warehouse.query(unmarked) == [(0,)], mart


def test_a_changed_time_zone_moves_all_dates(published: tuple[SmallWarehouse, int], tmp_path: Path) -> None:
    warehouse, _ = published
    moved = (
        "select customer_id, event_date from marts.customer_daily where user_id = 'shop' and customer_id = 'browser'"
    )
    before: list[Any] = warehouse.query(moved)
    warehouse.load(
        organizations=[organization("shop", "2024-11-10", org_type="ecommerce", timezone="Pacific/Kiritimati")],
        loaded_at=SECOND_LOADED_AT,
    )
    run(warehouse)
    assert [f"{day:%Y-%m-%d}" for _, day in before] == ["2024-11-09"]
    assert [f"{day:%Y-%m-%d}" for _, day in warehouse.query(moved)] == ["2024-11-10"]
    assert_equals_full_refresh(warehouse, tmp_path)


def test_a_run_with_nothing_new_replaces_nothing(published: tuple[SmallWarehouse, int]) -> None:
    warehouse, _ = published
    warehouse.execute("update marts.customer_behavior_events set browser = 'marker'")
    run(warehouse)
    assert warehouse.query("select distinct browser from marts.customer_behavior_events") == [("marker",)]


def test_assignments_make_no_tenant_and_touch_no_date(published: tuple[SmallWarehouse, int]) -> None:
    warehouse, _ = published
    tenants = "select user_id, as_of_date, last_loaded_at from marts.data_as_of order by all"
    marts = ["--select", "+segment_assignment_log", "+data_as_of", "--exclude-resource-type", "seed"]
    warehouse.build(*marts)
    before = warehouse.query(tenants)
    rows = [
        assignment("vip", "customer-05", "2024-11-09 12:00:00"),
        assignment("vip", "customer-05", "2024-11-09 12:00:00", user_id="a slip"),
    ]
    warehouse.load(segment_assignments=rows, loaded_at=SECOND_LOADED_AT)
    # What withdrawing a file of assignments asks for: a range without days.
    warehouse.execute("""
        insert into raw.recompute_requests by name
        select 1 as request_id, 'shop' as user_id, date '1970-01-01' as from_date, date '1969-12-31' as to_date,
            'withdrawn' as cause, 'pending' as state
    """)
    warehouse.build(*marts)
    assert warehouse.query("select * from intermediate.int_touched_dates") == []
    assert warehouse.query(tenants) == before
    log = "select user_id, outcome from marts.segment_assignment_log where assigned_date = '2024-11-09' order by all"
    assert warehouse.query(log) == [("a slip", "unknown tenant"), ("shop", "effective")]
