"""Dagster's view: definitions load without side effects, the graph is as we mean it, parameters are pure functions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import child
import dagster as dg
import duckdb
import pytest
from click.testing import CliRunner
from dagster_dbt import DbtCliResource

from orchestration import cli, ledger, load
from orchestration.assets.raw import FEEDS
from orchestration.home import (
    DEFINITIONS,
    Home,
    SettingError,
    WarehouseBusyError,
    duckdb_memory,
    exclusive,
    incremental_checksum,
    manifest_is_current,
    project_checksum,
    read_manifest,
    schedule_hour,
)
from orchestration.parameters import Parameters, State, is_only_of_definitions, reason_to_build, reason_to_refresh
from orchestration.sensors import fingerprint

PROJECT_DIR = Path(__file__).parents[2]

WITHOUT_NETWORK = """
import socket

def refuse(*arguments, **options):
    raise AssertionError("a socket was opened")

socket.socket.connect = refuse
socket.create_connection = refuse
from orchestration.definitions import defs
defs.resolve_job_def("daily")
"""


@pytest.fixture(scope="module", autouse=True)
def prepared() -> None:
    """Make dbt's manifest, which definitions read."""
    subprocess.run([Path(sys.executable).parent / "warehouse", "init", "--quiet"], check=True)


def test_definitions_load_with_sockets_blocked_and_write_nothing(tmp_path: Path) -> None:
    environment = os.environ | {"WAREHOUSE_HOME": str(tmp_path / "home"), "DAGSTER_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", WITHOUT_NETWORK], env=environment, check=True)
    assert not (tmp_path / "home").exists()


def test_the_asset_graph_is_the_one_we_mean() -> None:
    """Every mart stands between the load and the release; nothing is loaded or published beside them."""
    from orchestration.definitions import defs

    graph = defs.resolve_asset_graph()
    keys = {key.to_user_string(): graph.get(key) for key in graph.get_all_asset_keys()}
    loaded = {key for key, node in keys.items() if key.startswith("raw/") and node.is_materializable}
    assert loaded == {
        f"raw/{table}"
        for table in (
            "events",
            "customers",
            "organizations",
            "segment_assignments",
            "churn_scores",
            "ltv_predictions",
            "load_ledger",
            "rejected_rows",
            "tenant_loads",
            "recompute_requests",
            "churn_scores",
            "ltv_predictions",
            "segment_exports",
            "segment_lookalikes",
            "prediction_recordings",
            "predictions",
            "model_versions",
            "model_metrics",
            "model_deciles",
        )
    }
    marts = {path.stem for path in (PROJECT_DIR / "models" / "marts").rglob("*.sql")}
    published = {key.to_user_string() for key in keys["release"].parent_keys}
    assert {f"marts/{mart}" for mart in marts - {"customer_contacts", "customer_attributes"}} <= published
    upstream_of_sessions = {key.to_user_string() for key in keys["marts/sessions"].parent_keys}
    assert upstream_of_sessions == {"intermediate/int_sessions", "intermediate/int_session_channels"}
    checks = {(check.asset_key.to_user_string(), check.name) for check in graph.asset_check_keys}
    assert {
        (f"raw/{feed}", "gate_1") for feed in ("events", "customers", "organizations", "segment_assignments")
    } <= checks
    assert {(f"raw/{feed}", "gate_1") for feed in FEEDS} <= checks
    assert ("raw/predictions", "gate_2") in checks
    assert ("release", "gate_3") in checks
    assert ("marts/orders", "orders_balance") in checks


def test_a_test_that_reads_later_models_waits_for_them() -> None:
    """What predictions are made from is built and tested first: a check there that reads later models would not run."""
    from orchestration.assets.warehouse import dbt_features

    first = {key.path[-1] for key in dbt_features.keys}
    assert {"customer_features", "customer_outcomes", "customer_daily", "sessions"} <= first
    assert "customer_segments" not in first
    manifest = read_manifest()
    nodes = manifest["nodes"] | manifest["sources"]
    checked = {check.name for check in dbt_features.check_keys}
    read = {
        node["name"]: {nodes[parent]["name"] for parent in node["depends_on"]["nodes"] if parent in manifest["nodes"]}
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test" and node["name"] in checked
    }
    assert len(read) == len(checked)
    assert {name: parents - first for name, parents in read.items() if parents - first} == {}


def test_schedule_and_sensor_start_the_one_job() -> None:
    from orchestration.definitions import defs

    repository = defs.get_repository_def()
    schedule = repository.get_schedule_def("every_morning")
    assert schedule.cron_schedule == "0 3 * * *"
    assert schedule.job_name == repository.get_sensor_def("new_raw_files").job_name == "daily"
    assert defs.executor is dg.in_process_executor


def test_run_parameters_become_dbt_arguments() -> None:
    assert Parameters().dbt_arguments(full_refresh=False) == ["build", "--exclude-resource-type", "unit_test"]
    arguments = Parameters(as_of_date=date(2024, 2, 29)).dbt_arguments(full_refresh=True)
    assert arguments[3:] == ["--full-refresh", "--vars", '{"as_of_date": "2024-02-29"}']
    wishes = Parameters(date(2024, 2, 29), accept_release=True).run_config()["resources"]["wishes"]["config"]
    assert wishes == {
        "as_of_date": "2024-02-29",
        "full_refresh": False,
        "accept_release": True,
        "output": "",
        "test_all_history": False,
        "retrain": False,
    }


@pytest.mark.parametrize(("day", "tests_all_history"), [(21, False), (22, True), (23, False)])
def test_sunday_mornings_test_all_history(day: int, tests_all_history: bool) -> None:  # noqa: FBT001 - a parametrized case
    from orchestration.definitions import defs

    schedule = defs.get_repository_def().get_schedule_def("every_morning")
    with dg.build_schedule_context(scheduled_execution_time=datetime(2026, 11, day, 3, tzinfo=UTC)) as context:
        request = schedule.evaluate_tick(context).run_requests[0]
    assert request.run_config["resources"]["wishes"]["config"]["test_all_history"] is tests_all_history


def test_models_are_fitted_anew_each_month() -> None:
    from orchestration.definitions import defs

    schedule = defs.get_repository_def().get_schedule_def("retrain_monthly")
    assert schedule.cron_schedule == "30 3 1 * *"
    with dg.build_schedule_context(scheduled_execution_time=datetime(2026, 12, 1, 3, 30, tzinfo=UTC)) as context:
        request = schedule.evaluate_tick(context).run_requests[0]
    assert request.run_config["resources"]["wishes"]["config"]["retrain"] is True


QUIET = State(0, 0, built_checksum="a", current_checksum="a", was_as_of_given=False)


@pytest.mark.parametrize(
    ("parameters", "state", "reason"),
    [
        (Parameters(), QUIET, None),
        (Parameters(), State(0, 0, None, "a", was_as_of_given=False), "nothing is published yet"),
        (Parameters(), State(2, 0, "a", "a", was_as_of_given=False), "2 loaded files"),
        (Parameters(), State(0, 1, "a", "a", was_as_of_given=False), "1 requests"),
        (Parameters(), State(0, 0, "a", "b", was_as_of_given=False), "changed"),
        (Parameters(), State(0, 0, "a", "a", was_as_of_given=True), "given by hand"),
        (Parameters(), replace(QUIET, is_build_unfinished=True), "has not been published"),
        (Parameters(as_of_date=date(2024, 1, 1)), QUIET, "2024-01-01"),
        (Parameters(full_refresh=True), QUIET, "full refresh"),
        (Parameters(accept_release=True), QUIET, "accepted"),
        (Parameters(test_all_history=True), QUIET, "all history"),
        (Parameters(retrain=True), QUIET, "fitted anew"),
    ],
)
def test_a_run_builds_only_for_a_reason(parameters: Parameters, state: State, reason: str | None) -> None:
    found = reason_to_build(parameters, state)
    assert found is None if reason is None else reason in (found or "")


DEFINED_ANEW = replace(QUIET, built_checksum="a.1", current_checksum="a.2")


@pytest.mark.parametrize(
    ("parameters", "state", "is_only_of_them"),
    [
        (Parameters(), DEFINED_ANEW, True),
        (Parameters(), replace(DEFINED_ANEW, current_checksum="a.1"), False),
        (Parameters(), replace(DEFINED_ANEW, current_checksum="b.2"), False),
        (Parameters(), replace(DEFINED_ANEW, built_checksum=None), False),
        (Parameters(), replace(DEFINED_ANEW, pending_loads=1), False),
        (Parameters(), replace(DEFINED_ANEW, pending_requests=1), False),
        (Parameters(), replace(DEFINED_ANEW, was_as_of_given=True), False),
        (Parameters(), replace(DEFINED_ANEW, is_build_unfinished=True), False),
        (Parameters(retrain=True), DEFINED_ANEW, False),
        (Parameters(full_refresh=True), DEFINED_ANEW, False),
        (Parameters(test_all_history=True), DEFINED_ANEW, False),
        (Parameters(as_of_date=date(2024, 1, 1)), DEFINED_ANEW, False),
    ],
)
def test_definitions_are_all_that_changed_or_not(
    parameters: Parameters,
    state: State,
    is_only_of_them: bool,  # noqa: FBT001 - a parametrized case
) -> None:
    assert is_only_of_definitions(parameters, state) is is_only_of_them


@pytest.mark.parametrize(
    ("parameters", "built", "refreshes"),
    [
        (Parameters(), {"a"}, False),
        (Parameters(), set(), True),
        (Parameters(), {"b"}, True),
        (Parameters(), {"a", "b"}, True),
        (Parameters(full_refresh=True), {"a"}, True),
    ],
)
def test_event_level_models_are_rebuilt_whole_when_their_code_changed(
    parameters: Parameters,
    built: set[str],
    refreshes: bool,  # noqa: FBT001 - a parametrized case
) -> None:
    assert (reason_to_refresh(parameters, built_checksums=built, current_checksum="a") is not None) is refreshes


def test_incremental_checksum_follows_what_incremental_models_read(manifest: dict) -> None:
    before = incremental_checksum(manifest)
    key = "model.customer_warehouse."

    def after_change_of(name: str) -> str:
        node = manifest["nodes"][name]
        original, node["checksum"] = node["checksum"], {"name": "sha256", "checksum": "changed"}
        changed = incremental_checksum(manifest)
        node["checksum"] = original
        return changed

    assert after_change_of(f"{key}int_sessions") != before
    assert after_change_of(f"{key}stg_events") != before
    assert after_change_of("seed.customer_warehouse.event_types") != before
    assert after_change_of(f"{key}customer_rfm") == before
    assert after_change_of("seed.customer_warehouse.churn_bands") == before
    for macro in ("default__get_incremental_replace_dates_sql", "duckdb__create_table_as", "batches_of"):
        before = incremental_checksum(manifest)
        manifest["macros"][f"macro.customer_warehouse.{macro}"]["macro_sql"] += " "
        assert incremental_checksum(manifest) != before, macro


def test_incremental_checksum_leaves_dated_seeds_out(manifest: dict) -> None:
    node = manifest["nodes"]["seed.customer_warehouse.event_types"]
    original = node["checksum"], node["config"]["meta"]
    node["config"]["meta"] = {"dated": True}
    before = incremental_checksum(manifest)
    node["checksum"] = {"name": "sha256", "checksum": "changed"}
    changed = incremental_checksum(manifest)
    node["config"]["meta"] = {"dated": False}
    undated = incremental_checksum(manifest)
    node["checksum"], node["config"]["meta"] = original
    assert changed == before
    assert undated != before


def test_project_checksum_follows_every_file_that_dbt_reads(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a.sql").write_text("select 1")
    before = project_checksum(tmp_path)
    (tmp_path / "models" / "a.sql").write_text("select 2")
    assert project_checksum(tmp_path) != before


def test_project_checksum_has_a_part_for_definitions(tmp_path: Path) -> None:
    for name in (*DEFINITIONS, "seeds/segments/loyalty_tiers.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("key\n")
    for name in (*DEFINITIONS, "seeds/segments/loyalty_tiers.csv"):
        code, definitions = project_checksum(tmp_path).split(".")
        (tmp_path / name).write_text("key\n1\n")
        changed_code, changed_definitions = project_checksum(tmp_path).split(".")
        assert (code == changed_code) is (name in DEFINITIONS)
        assert (definitions == changed_definitions) is (name not in DEFINITIONS)


def test_definitions_are_the_dated_seeds(manifest: dict) -> None:
    seeds = [node for node in manifest["nodes"].values() if node["resource_type"] == "seed"]
    assert {node["original_file_path"] for node in seeds if node["config"]["meta"].get("dated")} == set(DEFINITIONS)


def test_a_changed_definition_needs_no_new_manifest(tmp_path: Path) -> None:
    for name in (*DEFINITIONS, "profiles.yml", "models/a.sql"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    manifest = tmp_path / "manifest.json"
    assert not manifest_is_current(tmp_path, manifest)
    manifest.write_text("{}")
    later = manifest.stat().st_mtime + 60
    os.utime(tmp_path / DEFINITIONS[0], (later, later))
    assert manifest_is_current(tmp_path, manifest)
    os.utime(tmp_path / "models/a.sql", (later, later))
    assert not manifest_is_current(tmp_path, manifest)


def test_dbt_is_asked_nothing_beforehand() -> None:
    """What is overridden is private: under another name it would cost seconds of every run again, unnoticed."""
    from orchestration.assets.warehouse import Dbt

    overridden = {"_initialize_dbt_core_adapter", "_cli_version"}
    assert overridden <= vars(Dbt).keys() & vars(DbtCliResource).keys()


def test_a_raw_file_that_is_still_written_to_starts_no_run(tmp_path: Path) -> None:
    file = tmp_path / "events" / "today.csv"
    file.parent.mkdir()
    file.write_text("a")
    written = file.stat().st_mtime
    assert fingerprint(tmp_path, written + 10) is None
    settled = fingerprint(tmp_path, written + 60)
    assert settled == fingerprint(tmp_path, written + 90)
    assert settled == fingerprint(tmp_path, written - 86_400), "the clock was set back: the file must not wait for it"
    file.write_text("ab")
    os.utime(file, (written, written))
    assert fingerprint(tmp_path, written + 60) != settled


def test_record_of_an_export_starts_no_run(tmp_path: Path) -> None:
    before = fingerprint(tmp_path, time.time())
    (tmp_path / "segment_exports").mkdir()
    (tmp_path / "segment_exports" / "a.jsonl").write_text("{}")
    assert fingerprint(tmp_path, time.time()) == before


def test_the_second_run_is_told_who_holds_the_warehouse(tmp_path: Path) -> None:
    home = Home(tmp_path)
    hold = (
        "import sys, pathlib; from orchestration.home import Home, exclusive\n"
        "with exclusive(Home(pathlib.Path(sys.argv[1])), 'warehouse run'): print('held', flush=True); input()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout
    assert holder.stdin
    holder.stdout.readline()
    with (
        pytest.raises(WarehouseBusyError, match=rf"`warehouse run` \(process {holder.pid}\) since"),
        exclusive(home, "second"),
    ):
        pass
    holder.stdin.close()
    holder.wait()
    with exclusive(home, "third"):
        pass


@pytest.mark.parametrize("clock", [1, 0, -1], ids=["goes on", "stands still", "is set back"])
def test_code_of_a_failed_or_killed_build_is_not_forgotten(clock: int) -> None:
    """Whatever the clock says: what came last is what was written last."""
    with duckdb.connect() as con:
        load.create_raw_tables(con)

        def record(run_id: str, step: str, status: str, checksum: str) -> None:
            moment = datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None) + clock * timedelta(days=len(run_id))
            ledger.record(con, [ledger.Step(run_id, step, step, status, started_at=moment, code_checksum=checksum)])

        assert ledger.checksums_in_tables(con, "models") == set()
        record("r", "models", "error", "a")
        assert ledger.checksums_in_tables(con, "models") == set()
        record("rr", "models", "success", "a")
        record("rrr", "run", "success", "a")
        assert ledger.checksums_in_tables(con, "models") == {"a"}
        assert not ledger.is_unpublished(con, "models")
        record("rrrr", "models", "started", "b")
        assert ledger.checksums_in_tables(con, "models") == {"a", "b"}
        assert ledger.is_unpublished(con, "models")
        record("rrrrr", "models", "success", "a")
        assert ledger.checksums_in_tables(con, "models") == {"a"}
        record("rrrrr", "run", "success", "c")
        assert ledger.last_checksum(con, "run") == "c"
        assert not ledger.is_unpublished(con, "models")


def start_a_child_and_be_killed(how: str) -> None:
    """Do as a run does with dbt, then die, or go on to the end."""
    from orchestration.assets import warehouse

    process = subprocess.Popen(["/bin/sleep", "60" if how == "killed" else "0.1"])
    print(process.pid, flush=True)  # noqa: T201 - to the test that called this process
    with warehouse._killed_with_us(process):  # noqa: SLF001
        if how == "killed":
            child.kill_self()
        process.wait()


@pytest.mark.parametrize(("how", "code"), [("killed", -signal.SIGKILL), ("ends", 0)])
def test_dbt_dies_with_its_run(how: str, code: int) -> None:
    """A run that is killed with -9 can clean up nothing; dbt would go on writing."""
    run = child.run(child.command_of(start_a_child_and_be_killed, how))
    assert run.returncode == code, run.stdout
    deadline = time.monotonic() + 10
    while is_alive(int(run.stdout.split()[0])):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_alive(process: int) -> bool:
    """Say whether a process goes on; one that nobody has buried yet does not."""
    state = subprocess.run(["/bin/ps", "-o", "stat=", "-p", str(process)], check=False, capture_output=True, text=True)
    return state.stdout.strip()[:1] not in {"", "Z"}


@pytest.mark.parametrize(
    ("wish", "mebibytes"),
    [("8GB", (8e9 - 1e9) / 2**20), ("8 GiB", 8 * 1024 - 1e9 / 2**20), ("1GB", 0.5e9 / 2**20), ("500MB", 250e6 / 2**20)],
)
def test_duckdb_gets_what_python_leaves(wish: str, mebibytes: float) -> None:
    assert duckdb_memory(wish) == f"{mebibytes:.0f}MiB"


def test_a_share_of_the_machine_or_nonsense() -> None:
    assert 0 < int(duckdb_memory("50%").removesuffix("MiB")) < int(duckdb_memory("75%").removesuffix("MiB"))
    with pytest.raises(SettingError, match="WAREHOUSE_MEMORY is 'lots': write a size"):
        duckdb_memory("lots")


@pytest.mark.parametrize("wish", ["0%", "200%", "1KB", "10000TB"])
def test_memory_that_no_run_can_have(wish: str) -> None:
    with pytest.raises(SettingError, match=r"MiB: write something between 256 MiB and"):
        duckdb_memory(wish)


@pytest.mark.parametrize("wish", ["x", "24", "-1", "3.5", ""])
def test_schedule_hour_that_is_none(monkeypatch: pytest.MonkeyPatch, wish: str) -> None:
    monkeypatch.setenv("WAREHOUSE_SCHEDULE_HOUR", wish)
    with pytest.raises(SettingError, match="write an hour, 0 to 23"):
        schedule_hour()


def test_home_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(SettingError, match="which is a file: name a folder"):
        Home(tmp_path / "home").make()


def test_a_day_in_the_future_is_wrong_usage() -> None:
    result = CliRunner().invoke(cli.main, ["run", "--as-of", "2999-01-01"])
    assert result.exit_code == 2
    assert "--as-of 2999-01-01 lies in the future" in result.output
