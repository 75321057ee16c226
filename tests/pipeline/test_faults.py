"""Whole runs under faults: killed, on a full or read-only disk, under a clock set back, beside another run.

Each test begins with a copy of the undisturbed warehouse, lands one more tenant, and asks for all dates anew. Whatever
happens then: readers keep their release, and the next undisturbed run ends with the old tenants' rows as they were and
the new tenant's rows once. docs/operations.md lists the faults, with the tests of single steps.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import child
import duckdb
import pytest
from real_warehouse import Warehouse

from orchestration import ledger
from orchestration.home import PROJECT_DIR, Home, exclusive

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.deep

KIOSK = """\
user_id,id,customer_id,event_type,event_value,created_at
kiosk,k1,zoe,page_view,,2024-06-03 10:00:00
kiosk,k2,zoe,purchase,5.00,2024-06-03 10:05:00
kiosk,k3,yan,purchase,7.00,2024-06-04 23:30:00
kiosk,k3,yan,purchase,7.00,2024-06-04 23:30:00
kiosk,k4,yan,purchase,-1,2024-06-04 23:40:00
"""
"""Three good events, one that comes twice, one that is rejected."""

A_DAY_BACK = """
from datetime import timedelta
from orchestration import ledger
now = ledger.utc_now
ledger.utc_now = lambda: now() - timedelta(days=1)
"""
DIE_AT = """
import os, signal
from {module} import {name}
def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)
{name}.{step} = die
"""
DIE_WHILE_LOADING = DIE_AT.format(module="orchestration.load", name="loading", step="write_ledger")
DIE_WHILE_BUILDING = DIE_AT.format(module="orchestration.release.building", name="Builder", step="build_restricted")
DIE_BEFORE_RECORD = DIE_AT.format(module="orchestration.release", name="publishing", step="_mark_published")

LAST_LINE = {
    "seeds and staging": "pii_keys ",
    "intermediate": "int_touched_dates ",
    "marts": "order_lines ",
    "data tests": "cohort_retention ",
}
"""What a run prints last before it is killed in each layer of dbt; after the last mart only tests remain."""
PATCHES = {
    "load": DIE_WHILE_LOADING,
    "publish, while building": DIE_WHILE_BUILDING,
    "publish, between swap and record": DIE_BEFORE_RECORD,
}


def with_one_more_tenant(undisturbed: Warehouse, home: Path) -> Warehouse:
    """Copy the undisturbed warehouse, land the kiosk, and ask for all dates anew."""
    warehouse = Warehouse(home)
    shutil.copytree(undisturbed.home, home, symlinks=True)
    (warehouse.raw / "events" / "kiosk.csv").write_text(KIOSK)
    with Home(home).connect() as con:
        ledger.request_recompute(con, date(2023, 1, 1), date(2024, 12, 31), cause="test")
    return warehouse


def kill_at(warehouse: Warehouse, phase: str) -> None:
    """Start a run and `kill -9` it, not its children, in a phase; wait until dbt has gone the same way."""
    if patch := PATCHES.get(phase):
        warehouse.run("run", expect=-signal.SIGKILL, before=patch)
        return
    process = warehouse.start("run")
    assert process.stdout
    while LAST_LINE[phase] not in (line := process.stdout.readline()):
        assert line, f"the run ended before it could be killed in {phase}"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 10
    while True:
        try:
            duckdb.connect(warehouse.home / "warehouse.duckdb").close()
        except duckdb.IOException:
            assert time.monotonic() < deadline, "dbt outlives the run that started it"
            time.sleep(0.1)
        else:
            return


def current(warehouse: Warehouse) -> Path:
    """Return the release that readers see."""
    return (warehouse.home / "published" / "current").readlink()


def assert_release_stands(warehouse: Warehouse, release: Path) -> None:
    """Check that readers see the release that they saw before, without the kiosk."""
    assert current(warehouse) == release
    assert warehouse.rows("select distinct user_id from marts.customer_behavior_events order by all") == [
        ("corner_cafe",),
        ("tea_house",),
    ]


def assert_nothing_lost_or_doubled(warehouse: Warehouse, undisturbed: Warehouse) -> None:
    """Compare: the old tenants' rows are as they were, the kiosk's are there once, and the books balance."""
    expected, found = undisturbed.marts(), warehouse.marts()
    assert found.keys() == expected.keys()
    for table, rows in expected.items():
        assert rows <= found[table], table
        # By its tenant, or by the path of its file.
        assert all(any("kiosk" in str(value) for value in row) for row in found[table] - rows), table
    assert warehouse.rows(
        "select customer_id, total_purchases, total_spent::double from marts.customer_behavior_summary "
        "where user_id = 'kiosk' order by customer_id"
    ) == [("yan", 1, 7), ("zoe", 1, 5)]
    assert warehouse.rows(
        "select row_count, kept_count, rejected_count, duplicate_count, state from marts.load_ledger "
        "where path = 'events/kiosk.csv'"
    ) == [(5, 3, 1, 1, "published")]
    counts = "select count(*), count(distinct id) from marts.customer_behavior_events"
    kept = "select sum(kept_count)::bigint from marts.load_ledger where feed = 'events'"
    [(rows, ids)], [(kept_rows,)] = warehouse.rows(counts), warehouse.rows(kept)
    assert rows == ids == kept_rows
    keys = dict.fromkeys(("order_lines", "orders", "customers", "behavioral_analytics"), "id")
    for mart, key in (keys | {"customer_daily": "(user_id, customer_id, event_date)"}).items():
        assert warehouse.rows(f"select count(*) - count(distinct {key}) from marts.{mart}") == [(0,)], mart


def test_killed_in_every_layer_and_resumed_under_another_clock(undisturbed: Warehouse, tmp_path: Path) -> None:
    """Five runs: killed four times, each time further on; the last one a day earlier, in another time zone."""
    warehouse = with_one_more_tenant(undisturbed, tmp_path / "home")
    release = current(warehouse)
    for phase in LAST_LINE:
        kill_at(warehouse, phase)
        assert_release_stands(warehouse, release)
    output = warehouse.run("run", before=A_DAY_BACK, TZ="Pacific/Kiritimati")
    assert "building, because 1 loaded files wait for publication" in output
    assert "warning: the clock says" in output
    assert "touched dates only" in output
    assert current(warehouse).name > release.name
    assert_nothing_lost_or_doubled(warehouse, undisturbed)


def test_second_run_is_told_who_holds_the_warehouse_and_since_when(undisturbed: Warehouse, tmp_path: Path) -> None:
    """A command that never begins."""
    warehouse = with_one_more_tenant(undisturbed, tmp_path / "home")
    with exclusive(Home(warehouse.home), "warehouse backfill"):
        output = warehouse.run(expect=1)
    assert f"`warehouse backfill` (process {os.getpid()}) since 20" in output
    assert "wait for it to end" in output
    assert "Traceback" not in output


def test_database_that_a_client_holds_is_named(undisturbed: Warehouse, tmp_path: Path) -> None:
    """A run that ends in its first step."""
    warehouse = with_one_more_tenant(undisturbed, tmp_path / "home")
    release = current(warehouse)
    with duckdb.connect(warehouse.home / "warehouse.duckdb"):
        output = warehouse.run(expect=1)
    assert "the working database is open in another process (" in output
    assert f"PID {os.getpid()}" in output
    assert "close it and try again" in output
    assert "Traceback" not in output
    assert_release_stands(warehouse, release)


def test_read_only_home_is_named_and_can_be_read(undisturbed: Warehouse, tmp_path: Path) -> None:
    """A command that never begins, and one that only reads."""
    warehouse = with_one_more_tenant(undisturbed, tmp_path / "home")
    command = Path(sys.executable).parent / "warehouse"
    environment = {"env": os.environ | {"WAREHOUSE_HOME": str(warehouse.home)}}
    refused = child.run_read_only([command, "run"], warehouse.home, **environment)
    assert refused.returncode == 1, refused.stdout
    assert f"{warehouse.home}" in refused.stdout
    assert "cannot be written to" in refused.stdout
    assert "give the user that runs the warehouse the right to write there" in refused.stdout
    assert "Traceback" not in refused.stdout
    read = child.run_read_only([command, "status"], warehouse.home, **environment)
    assert read.returncode == 0, read.stdout
    assert "corner_cafe" in read.stdout


def run_on_a_full_disk(disk: str, source: str, room: str, resumed: str = "") -> None:
    """Copy a home to this disk, leave so much room, run, and print what the run said; make room, and run again."""
    undisturbed = Warehouse(Path(source))
    warehouse = with_one_more_tenant(undisturbed, Path(disk, "home"))
    release = current(warehouse)
    child.fill(Path(disk), int(room))
    print(warehouse.run(expect=1))  # noqa: T201 - to the test that called this process
    assert_release_stands(warehouse, release)
    child.make_room(Path(disk))
    if resumed:
        warehouse.run()
        assert_nothing_lost_or_doubled(warehouse, undisturbed)


def on_a_full_disk(undisturbed: Warehouse, disk: Path, *arguments: object) -> str:
    """Return what a run on a full disk says."""
    disk.mkdir()
    command = child.command_of(run_on_a_full_disk, disk, undisturbed.home, *arguments)
    output = child.run_on_small_disk(command, disk, "200m")
    assert "the disk is full: " in output
    assert str(disk) in output
    assert "make room there and call `warehouse run` again: nothing is lost, the last release stands" in output
    assert "Traceback" not in output
    return output


def test_full_disk_is_named(undisturbed: Warehouse, tmp_path: Path) -> None:
    """A run that ends as soon as it writes: Dagster's own ledger, SQLite, is the first that cannot."""
    on_a_full_disk(undisturbed, tmp_path / "disk", 100 * 2**10)


# ── Slow repetitions ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("phase", [*PATCHES, *LAST_LINE])
def test_killed_in_one_phase_and_resumed(undisturbed: Warehouse, tmp_path: Path, phase: str) -> None:
    """Two runs."""
    warehouse = with_one_more_tenant(undisturbed, tmp_path / "home")
    release = current(warehouse)
    kill_at(warehouse, phase)
    if phase == "publish, between swap and record":
        assert_nothing_lost_or_doubled(warehouse, undisturbed)
    else:
        assert_release_stands(warehouse, release)
    warehouse.run()
    assert_nothing_lost_or_doubled(warehouse, undisturbed)


@pytest.mark.parametrize("mebibytes", [4, 8, 12, 16, 20])
def test_full_disk_while_models_are_built_or_published(undisturbed: Warehouse, tmp_path: Path, mebibytes: int) -> None:
    """Two runs; how far the first comes depends on the room that is left."""
    on_a_full_disk(undisturbed, tmp_path / "disk", mebibytes * 2**20, "resumed")


def copy_of_project(folder: Path) -> Path:
    """Copy what a run needs of the project, so that a test may change a model."""
    names = ["dbt_project.yml", "profiles.yml", "models", "macros", "seeds", "tests", "orchestration"]
    folder.mkdir()
    for name in names:
        source = PROJECT_DIR / name
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, folder / name)
    return folder


def replace_in(path: Path) -> Callable[[str, str], None]:
    """Return a function that replaces text that stands once in a file."""

    def replace(old: str, new: str) -> None:
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))

    return replace


def test_changed_event_model_is_rebuilt_whole_by_the_next_run(undisturbed: Warehouse, tmp_path: Path) -> None:
    """Two runs: with a model changed, dates that no load touched show the change; with it undone, all is as before."""
    project = copy_of_project(tmp_path / "project")
    warehouse = Warehouse(tmp_path / "home")
    shutil.copytree(undisturbed.home, warehouse.home, symlinks=True)
    change = replace_in(project / "models" / "marts" / "events" / "customer_behavior_events.sql")
    was, becomes = "        events.product_name,\n", "        upper(events.product_name) as product_name,\n"
    for old, new in ((was, becomes), (becomes, was)):
        change(old, new)
        output = warehouse.run("run", PYTHONPATH=str(project))
        assert "full refresh of the event-level models: an event-level model, macro or seed changed" in output
        names = "select bool_and(product_name = upper(product_name)) from marts.customer_behavior_events"
        assert warehouse.rows(names) == [(new == becomes,)]
    assert warehouse.marts() == undisturbed.marts()
