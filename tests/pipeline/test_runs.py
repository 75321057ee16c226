"""Runs as users know them: again, after a crash, with a bad file, beside a reader. Each test says what it costs."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import time
from typing import TYPE_CHECKING

import duckdb
import pytest
from real_warehouse import Warehouse, land_late_file
from small_project import copy_project

from orchestration import sample_data
from orchestration.parameters import FOLLOWS_DEFINITIONS

if TYPE_CHECKING:
    from pathlib import Path


def land_bad_file(raw: Path) -> None:
    """Land a file without the required column customer_id."""
    (raw / "events" / "no_customer.csv").write_text("id,event_type,created_at\n1,purchase,2024-06-01\n")


def watch(path: Path, stop: multiprocessing.synchronize.Event, report: multiprocessing.Queue) -> None:
    """Read the release in a loop; report reads, errors, and reads that saw two releases at once."""
    reads, errors, mixed = 0, [], 0
    while not stop.is_set():
        try:
            with duckdb.connect(path, read_only=True) as con:
                total = "select sum({}) from marts.{}"
                daily = con.execute(total.format("event_count", "customer_daily")).fetchone()
                time.sleep(0.01)
                events = con.execute("select count(*) from marts.customer_behavior_events").fetchone()
                tenants = "behavioral_analytics where segment_id is null"
                by_day = con.execute(total.format("total_events", tenants)).fetchone()
            reads += 1
            mixed += not daily == events == by_day
        except duckdb.Error as error:
            errors.append(str(error))
    report.put((reads, errors, mixed))


def test_ten_customers_come_out_as_the_fixture_says(undisturbed: Warehouse) -> None:
    # The late file of this warehouse adds 4.20 to ana and takes 3.00 from dan; the table is write_ten_customers's.
    spend = dict(
        undisturbed.rows(
            "select customer_id, total_spent from marts.customer_behavior_summary where user_id = 'corner_cafe'"
        )
    )
    expected = {
        "ana": 133.8,
        "ben": 2.5,
        "cleo": 0,
        "dan": 15,
        "eva": 2.5,
        "finn": 20.5,
        "gia": 24,
        "ines": 28.5,
        "jon": 31.5,
    }
    assert {customer: float(spend[customer]) for customer in expected} == expected
    segments = dict(
        undisturbed.rows(
            "select customer_id, segment from marts.customer_segments where organization_id = 'corner_cafe'"
        )
    )
    assert len(segments) == 10
    assert segments["ana"] == "Champions"
    assert segments["cleo"] == segments["hugo"] == "No Purchase Yet"
    assert (
        undisturbed.rows("select order_date from marts.orders where customer_id = 'gia' and user_id = 'corner_cafe'")[
            0
        ][0].isoformat()
        == "2024-06-15"
    )


def test_tenants_with_the_same_customer_ids_do_not_mix(undisturbed: Warehouse) -> None:
    rows = undisturbed.rows(
        "select user_id, customer_id, total_purchases, total_spent from marts.customer_behavior_summary "
        "where customer_id in ('ana', 'ben') order by all"
    )
    assert [(user, customer, orders, float(spent)) for user, customer, orders, spent in rows] == [
        ("corner_cafe", "ana", 7, 133.8),
        ("corner_cafe", "ben", 1, 2.5),
        ("tea_house", "ana", 1, 5.0),
        ("tea_house", "ben", 1, 7.5),
    ]
    # No organizations row: UTC, so 23:59:59 and 00:00:00 lie on two dates.
    assert undisturbed.rows(
        "select count(*) from marts.customer_daily where user_id = 'tea_house' and customer_id = 'ben'"
    ) == [(2,)]


def test_every_row_of_every_file_is_accounted_for(undisturbed: Warehouse) -> None:
    assert undisturbed.rows(
        "select count(*) from marts.load_ledger "
        "where row_count <> kept_count + rejected_count + duplicate_count or state <> 'published'"
    ) == [(0,)]


@pytest.mark.deep
def test_incidents_leave_the_same_rows_as_an_undisturbed_run(undisturbed: Warehouse, tmp_path: Path) -> None:
    """Four runs: a refused file; nothing new; killed; resumed beside a reader."""
    warehouse = Warehouse(tmp_path / "home")
    sample_data.write_ten_customers(warehouse.raw)
    land_bad_file(warehouse.raw)
    output = warehouse.run(expect=3)
    assert "no_customer.csv" in output
    assert "customer_id" in output
    first = (warehouse.home / "published" / "current").readlink()

    output = warehouse.run()
    assert "nothing new, nothing changed" in output
    assert (warehouse.home / "published" / "current").readlink() == first
    assert "no_customer.csv" in warehouse.run("status")

    shutil.copytree(undisturbed.raw / "events" / "tea_house", warehouse.raw / "events" / "tea_house")
    land_late_file(warehouse.raw)
    process = warehouse.start("run")
    assert process.stdout
    # In the middle of the models: sessions stands, what is made from it does not.
    while "sessions " not in (line := process.stdout.readline()):
        assert line, "the run ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert (warehouse.home / "published" / "current").readlink() == first
    assert warehouse.rows("select count(*) from marts.customers where user_id = 'tea_house'") == [(0,)]

    context = multiprocessing.get_context("spawn")
    stop, report = context.Event(), context.Queue()
    published = warehouse.home / "published" / "analytics.duckdb"
    # A daemon: it ends with this process, also when the run fails before it is told to stop.
    reader = context.Process(target=watch, args=(published, stop, report), daemon=True)
    reader.start()
    warehouse.run()
    stop.set()
    reads, errors, mixed = report.get()
    reader.join()
    assert reads > 10
    assert errors == []
    assert mixed == 0

    assert warehouse.rows(
        "select cause, figure, old_value, new_value from marts.restatements "
        "where date = '2024-03-05' and figure = 'total_purchases'"
    ) == [("late events", "total_purchases", 1, 2)]
    assert "restated what was published before (late events: " in warehouse.run("status")

    expected, found = undisturbed.marts(), warehouse.marts()
    assert found.keys() == expected.keys()
    for table, rows in expected.items():
        assert found[table] == rows, table


@pytest.mark.deep
def test_changed_definitions_build_what_follows_from_them(undisturbed: Warehouse, tmp_path: Path) -> None:
    """Nothing came in: the tables that no definition decides stand, and are published beside the new ones. Two runs."""
    shutil.copytree(undisturbed.home, tmp_path / "home", symlinks=True)
    warehouse, project = Warehouse(tmp_path / "home"), copy_project(tmp_path / "project", with_code=True)
    in_copy = f"import sys; sys.path.insert(0, {str(project)!r})"
    criteria = '{"minOrders": 3}'
    warehouse.run("segments", "add", "--name", "Thrice", "--type", "custom", "--criteria", criteria, before=in_copy)
    said = warehouse.run("run", before=in_copy)
    assert "only what follows from the definitions of segments" in said
    ((selection, built),) = warehouse.rows("""
        select any_value(selection) filter (step = 'models'), count(*) filter (kind = 'model')
        from marts.run_ledger where run_id = (select arg_max(run_id, started_at) from marts.run_ledger)
    """)
    assert selection == FOLLOWS_DEFINITIONS
    assert 40 < built < len(list((project / "models").rglob("*.sql"))) / 2
    members = "select count(*) from marts.segment_members where segment_key = 'thrice' and is_current"
    buyers = "select count(*) from marts.customer_behavior_summary where total_purchases >= 3"
    assert warehouse.rows(members) == warehouse.rows(buyers) != [(0,)]
    before, after = undisturbed.marts(), warehouse.marts()
    changed = {table for table in before if before[table] != after[table]}
    assert "segment_members" in changed
    assert {"customers", "orders", "customer_rfm", "customer_features"}.isdisjoint(changed)
    assert "nothing new" in warehouse.run("run", before=in_copy)


@pytest.mark.deep
def test_past_days_rollback_and_backfill(undisturbed: Warehouse, tmp_path: Path) -> None:
    """Three runs: a past as-of date goes into a release apart, or over a later one when accepted; and back again."""
    warehouse = Warehouse(tmp_path / "home")
    shutil.copytree(undisturbed.home, warehouse.home, symlinks=True)
    as_of = "select distinct as_of_date::varchar from marts.data_as_of where user_id = 'corner_cafe'"

    apart = tmp_path / "apart"
    warehouse.run("run", "--as-of", "2024-06-15", "--output", str(apart))
    assert warehouse.rows(as_of) == [("2024-06-30",)]
    with duckdb.connect(apart / "analytics.duckdb", read_only=True) as con:
        assert con.execute(as_of).fetchall() == [("2024-06-15",)]
        last_dates = (
            f"select max(event_date)::varchar from marts.{mart} where user_id = 'corner_cafe'"
            for mart in ("customer_behavior_events", "customer_daily", "order_lines")
        )
        assert all(con.execute(sql).fetchone()[0] <= "2024-06-15" for sql in last_dates)
        past = con.execute("select * from marts.customer_behavior_summary order by all").fetchall()

    warehouse.run("run", "--as-of", "2024-06-15", "--accept-release")
    assert "Unable to do partial parsing" not in (warehouse.home / "dbt.log").read_text()
    assert warehouse.rows(as_of) == [("2024-06-15",)]
    assert warehouse.rows("select * from marts.customer_behavior_summary order by all") == past
    assert warehouse.rows("select max(date)::varchar from marts.behavioral_analytics") == [("2024-06-15",)]

    warehouse.run("rollback")
    assert warehouse.rows(as_of) == [("2024-06-30",)]
    copy = tmp_path / "elsewhere"
    warehouse.run("publish", "--to", str(copy))
    with duckdb.connect(copy / "analytics.duckdb", read_only=True) as con:
        copied = con.execute("select count(*) from marts.customer_behavior_events").fetchall()
    assert copied == warehouse.rows("select count(*) from marts.customer_behavior_events")

    # What dbt cannot read of the parsed project it does without.
    (warehouse.home / "tmp" / "partial_parse.msgpack").write_bytes(b"damaged")
    output = warehouse.run("backfill", "--from", "2024-03-01", "--to", "2024-03-31")
    assert "touched dates only" in output
    assert {table: rows == undisturbed.marts()[table] for table, rows in warehouse.marts().items()} == dict.fromkeys(
        undisturbed.marts(), True
    )
