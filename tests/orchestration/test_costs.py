"""What runs cost: memory, rows in and out, dates; the tables that keep it, and `warehouse status`, which tells it."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from click.testing import CliRunner
from small_warehouse import event

from orchestration import last_run, ledger, load
from orchestration.cli import main
from orchestration.costs import Costs
from orchestration.home import Home, tables_under
from orchestration.last_run import LastRun, outcome_of
from orchestration.memory import INTERVAL_SECONDS, MemorySampler, peak_between
from orchestration.release import publish
from orchestration.status import in_units, last_run_line

if TYPE_CHECKING:
    from pathlib import Path

    from small_warehouse import SmallWarehouse

BEGAN = datetime(2026, 1, 1, 3)  # noqa: DTZ001 - the ledgers hold UTC without a zone
MEBIBYTE = 2**20


# ── Memory ────────────────────────────────────────────────────────────────────────────────────


def test_memory_of_a_process_and_its_children_is_seen_while_it_is_held() -> None:
    """A child of a child holds 60 MiB for a while and gives them back."""
    hold = "import time; held = bytearray(60 * 2**20); time.sleep(0.5); del held; time.sleep(0.5)"
    start = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold!r}])"
    process = subprocess.Popen([sys.executable, "-c", start])
    with MemorySampler(process.pid, with_children=True) as family, MemorySampler(process.pid) as alone:
        process.wait()
    assert family.peak
    assert alone.peak
    assert family.peak > 60 * MEBIBYTE > alone.peak
    seen = len(family.samples)
    time.sleep(3 * INTERVAL_SECONDS)
    assert len(family.samples) == seen, "nobody looks any more"


def test_peak_between_two_moments() -> None:
    samples = [(1.0, 10), (2.0, 50), (3.0, 30), (4.0, 20)]
    assert peak_between(samples, 1.5, 3.0) == 50
    assert peak_between(samples, 3.0, 9.0) == 30
    assert peak_between(samples, 2.1, 2.2) == 50, "between two looks, the look before"
    assert peak_between(samples, 0.1, 0.2) is None


# ── Rows and dates ────────────────────────────────────────────────────────────────────────────


def test_a_view_that_a_model_reads_stands_for_the_tables_under_it(manifest: dict[str, Any]) -> None:
    assert tables_under(manifest, "model.customer_warehouse.run_ledger") == {"raw.run_ledger"}
    under = tables_under(manifest, "model.customer_warehouse.int_tenant_clock")
    assert "marts.customer_daily" in under
    assert not {table for table in under if table.startswith("staging.")}


def test_rows_in_rows_out_and_dates_of_a_day(copied_warehouse: SmallWarehouse, manifest: dict[str, Any]) -> None:
    """Two events of one tenant on two dates, one of them new: three session days."""
    copied_warehouse.publish()
    copied_warehouse.load(events=[event("a", "2024-10-19 12:00:00"), event("a", "2023-12-24 12:00:00")])
    copied_warehouse.build("--select", "+customer_daily", "+int_segment_changes", "--exclude-resource-type", "seed")
    daily, sessions = "model.customer_warehouse.customer_daily", "model.customer_warehouse.int_sessions"
    with copied_warehouse.connect() as con:
        count = "select count(*) from {}"
        rows, seen = (
            con.execute(count.format(table)).fetchone()[0] for table in ("marts.customer_daily", "raw.events")
        )
        on_dates = con.execute(
            "select count(*) from marts.customer_daily "
            "where user_id = 'shop' and event_date in ('2024-10-19', '2023-12-24')"
        ).fetchone()[0]
        pairs = con.execute("select count(distinct (user_id, event_date)) from marts.customer_daily").fetchone()[0]
        day = Costs(con, manifest, [(100.0, 7)], is_full_refresh=False)
        assert day.replaced(daily) == (2, on_dates)
        assert 2 <= on_dates < rows
        assert day.replaced(sessions)[0] == 4, "of each date also the session day before"
        due = con.execute("select count(*) from intermediate.int_segment_due_dates").fetchone()[0]
        assert day.replaced("model.customer_warehouse.int_segment_changes")[0] == due > 0
        assert day.table_rows(daily) == rows
        assert day.rows_in(daily) == sum(day.rows[table] for table in tables_under(manifest, daily)) > 0
        assert day.table_rows("model.customer_warehouse.stg_events") is None
        assert day.rows_in("model.customer_warehouse.stg_run_ledger") == day.rows["raw.run_ledger"]
        assert day.rows["raw.events"] == seen
        assert Costs(con, manifest, [], is_full_refresh=True).replaced(daily) == (pairs, rows)
        moment = datetime.fromtimestamp(100, UTC)
        timing = [{"started_at": moment.isoformat(), "completed_at": (moment + timedelta(seconds=1)).isoformat()}]
        assert day.peak_memory({"timing": timing}) == 7
        assert day.peak_memory({"timing": []}) is None


# ── Tables of older and of newer versions ─────────────────────────────────────────────────────


def test_columns_that_an_older_home_lacks_are_added() -> None:
    with duckdb.connect() as con:
        load.create_raw_tables(con)
        con.execute("insert into raw.run_ledger (run_id, step, seconds) values ('old', 'load', 1.5)")
        for column in ("rows_in", "rows_out", "dates_recomputed", "peak_memory_bytes", "kind"):
            con.execute(f"alter table raw.run_ledger drop column {column}")
        con.execute("drop table raw.restatements")
        con.execute("create view reads as select * from raw.run_ledger")
        load.create_raw_tables(con)

        # The order of columns is another one now: what is written goes by name.
        new = ledger.Step("new", "load", "load", "success", started_at=BEGAN, rows_in=3, peak_memory_bytes=9)
        ledger.record(con, [new])
        columns = "run_id, kind, seconds, rows_in, peak_memory_bytes"
        assert con.execute(f"select {columns} from raw.run_ledger order by run_id").fetchall() == [
            ("new", "load", None, 3, 9),
            ("old", None, 1.5, None, None),
        ]
        assert con.execute("select count(*) from raw.restatements").fetchone() == (0,)
        ledger.record(con, [new])
        assert con.execute("select count(*) from raw.run_ledger").fetchone() == (2,)


def test_an_older_home_gets_the_types_of_a_new_one() -> None:
    described = "select table_name, column_name, data_type from duckdb_columns() where schema_name = 'raw' order by all"
    with duckdb.connect() as new, duckdb.connect() as old:
        load.create_raw_tables(new)
        old.execute("create schema raw; create table raw.events (event_id uuid); create table raw.releases (x varchar)")
        old.execute("alter table raw.releases rename x to release_id")
        load.create_raw_tables(old)
        assert old.execute(described).fetchall() == new.execute(described).fetchall()


def test_a_home_of_a_newer_version_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path).make()
    with home.connect() as con:
        load.create_raw_tables(con)
        con.execute("alter table raw.load_ledger add column origin varchar")
        with pytest.raises(load.LoadError, match=r"newer version: it has raw\.load_ledger\.origin, .* update"):
            load.create_raw_tables(con)
    monkeypatch.setenv("WAREHOUSE_HOME", str(tmp_path))
    result = CliRunner().invoke(main, ["backfill", "--from", "2024-01-01", "--to", "2024-01-02"])
    assert result.exit_code == 1
    assert "raw.load_ledger.origin" in result.output


# ── The last run, and what status says ────────────────────────────────────────────────────────


def test_the_last_run_is_told_however_it_ends(tmp_path: Path) -> None:
    home = Home(tmp_path).make()
    assert last_run.read(home) is None
    with home.connect() as con:
        load.create_raw_tables(con)
    with last_run.told(home, "a"):
        assert last_run.read(home).outcome == "under way, or killed"
        with home.connect() as con:
            ledger.record(con, [ledger.Step("a", "load", "load", "success", started_at=BEGAN, peak_memory_bytes=5)])
            ledger.record(con, [ledger.Step("a", "run", "run", "success", started_at=BEGAN)])
    run = last_run.read(home)
    assert (run.run_id, run.outcome, run.peak_memory_bytes) == ("a", "published", 5)
    with pytest.raises(KeyError), last_run.told(home, "b"):
        raise KeyError
    assert last_run.read(home).outcome == "failed while loading"


@pytest.mark.parametrize(
    ("steps", "outcome"),
    [
        ({"load": ("success", "nothing new")}, "nothing new"),
        ({"load": ("success", "1 loaded files wait"), "models": ("error", None)}, "failed while building models"),
        ({"load": ("success", ""), "models": ("success", None), "publish": ("refused", "")}, "refused by gate 3"),
        ({"load": ("success", ""), "models": ("success", None)}, "failed, the models were built"),
    ],
)
def test_the_outcome_follows_from_the_steps(steps: dict[str, tuple[str, str | None]], outcome: str) -> None:
    assert outcome_of(steps) == outcome


def test_last_run_in_words() -> None:
    run = LastRun("a", BEGAN, "published", 61.23, 1300 * MEBIBYTE)
    assert last_run_line(run) == "last run: 2026-01-01 03:00 UTC: published, 61.2 s, peak memory 1.3 GiB"
    assert last_run_line(LastRun("a", BEGAN)) == "last run: 2026-01-01 03:00 UTC: under way, or killed"
    assert in_units(5 * MEBIBYTE) == "5 MiB"


def test_status_tells_costs_and_copes_with_a_release_of_an_older_version(
    copied_warehouse: SmallWarehouse, manifest: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAREHOUSE_HOME", str(copied_warehouse.home))
    steps = [
        ledger.Step("a", "models", "models", "success", started_at=BEGAN, dates_recomputed=12, is_full_refresh=False),
        ledger.Step("a", "orders", "model", "success", None, 2.5, BEGAN, rows_out=34_567, peak_memory_bytes=MEBIBYTE),
    ]
    with copied_warehouse.connect() as con:
        ledger.record(con, steps)
    settings = {"run_id": "a", "published_at": BEGAN, "code_checksum": "code"}
    publish(copied_warehouse.database, copied_warehouse.home, manifest, **settings)
    output = CliRunner().invoke(main, ["status"]).output
    assert "dates recomputed for this release: 12" in output
    assert "restated nothing" in output
    assert "34,567 rows written      1 MiB" in output

    analytics = copied_warehouse.home / "published" / "analytics.duckdb"
    with duckdb.connect(analytics.resolve()) as con:
        con.execute("drop table marts.restatements")
        for column in ("rows_in", "rows_out", "dates_recomputed", "peak_memory_bytes"):
            con.execute(f"alter table marts.run_ledger drop column {column}")
    result = CliRunner().invoke(main, ["status"])
    assert result.exit_code == 0
    assert "dates recomputed: not recorded: an older version published this release" in result.output
    assert "restatements: not recorded" in result.output
    assert "  orders                             2.50 s\n" in result.output
