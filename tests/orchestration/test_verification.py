"""What verification compares, and how it says what differs: pure functions; and its weekly job."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from orchestration import verify
from orchestration.parameters import State
from orchestration.verify.checking import reason_to_refuse
from orchestration.verify.comparing import OUTSIDE_THE_LAW, Comparison, Table, finding, verified_tables
from orchestration.verify.sampling import complete_session_dates, computed_dates

if TYPE_CHECKING:
    from pathlib import Path

SETTLED = State(0, 0, built_checksum="a", current_checksum="a", was_as_of_given=False)
DAY, NEXT, AFTER = date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1)


def test_every_mart_and_every_incremental_model_is_compared(manifest: dict[str, Any]) -> None:
    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    marts = {node["name"] for node in models if node["original_file_path"].startswith("models/marts/")}
    incremental = {node["name"] for node in models if node["config"]["materialized"] == "incremental"}
    tables = {table.name: table for table in verified_tables(manifest)}
    assert tables.keys() == (marts | incremental) - OUTSIDE_THE_LAW.keys()
    assert OUTSIDE_THE_LAW.keys() <= marts
    assert {name for name, table in tables.items() if table.date_column} == incremental
    # Memberships hang on all dates before: recomputing single dates would not give them.
    assert {name for name, table in tables.items() if table.is_sampled} == incremental - {"int_segment_changes"}


def test_the_widest_tested_key_names_a_row(manifest: dict[str, Any]) -> None:
    keys = {table.name: table.key for table in verified_tables(manifest)}
    assert keys["customer_rfm"] == ("user_id", "customer_id")
    assert keys["customer_behavior_events"] == ("id",)
    assert keys["cohort_retention"] == ("user_id", "cohort_id", "acquisition_channel", "period_number")


def test_a_session_day_is_compared_only_when_both_its_dates_are_computed() -> None:
    computed = computed_dates([("shop", DAY), ("bank", AFTER)])
    assert computed == {("shop", DAY), ("shop", NEXT), ("bank", AFTER), ("bank", date(2024, 3, 2))}
    assert complete_session_dates(computed) == {("shop", DAY), ("bank", AFTER)}
    assert complete_session_dates(computed | {("shop", AFTER)}) == {("shop", DAY), ("shop", NEXT), ("bank", AFTER)}


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (SETTLED, None),
        (replace(SETTLED, was_as_of_given=True), None),
        (replace(SETTLED, pending_loads=2), "2 loaded files"),
        (replace(SETTLED, pending_requests=1), "1 requests"),
        (replace(SETTLED, current_checksum="b"), "changed"),
        (replace(SETTLED, is_build_unfinished=True), "has not been published"),
        (replace(SETTLED, built_checksum=None), "nothing is published"),
    ],
)
def test_only_a_settled_build_is_verified(state: State, reason: str | None) -> None:
    found = reason_to_refuse(state)
    assert found is None if reason is None else reason in (found or "")


@pytest.mark.parametrize(
    ("working", "recomputed", "how"),
    [
        ([{"id": 1, "n": 1}], [], "id=1: only in the working marts"),
        ([], [{"id": 1, "n": 1}], "id=1: only in the rebuild"),
        ([{"id": 1, "n": 1, "m": None}], [{"id": 1, "n": 2, "m": 0}], "id=1: differs in n, m"),
        ([{"id": 1}, {"id": 1}], [{"id": 1}, {"id": 2}], "id=1: 2 rows in the working marts, 1 in the rebuild"),
    ],
)
def test_a_finding_says_where_a_row_is_or_which_columns_differ(
    working: list[dict], recomputed: list[dict], how: str
) -> None:
    assert finding(Table("orders", "marts", ("id",)), {"id": 1}, working, recomputed) == how


def test_a_finding_of_an_incremental_model_names_the_date() -> None:
    table = Table("refunds", "marts", ("id",), "event_date")
    row = {"id": 1, "user_id": "shop", "event_date": DAY}
    assert finding(table, {"id": 1}, [row], []) == (
        "id=1 (user_id=shop, event_date=2024-02-28): only in the working marts"
    )


def test_a_sample_check_runs_each_monday_after_the_day_s_run() -> None:
    from orchestration.definitions import defs

    schedule = defs.get_repository_def().get_schedule_def("verify_weekly")
    assert (schedule.cron_schedule, schedule.job_name, schedule.execution_timezone) == ("0 5 * * 1", "verify", "UTC")


@pytest.mark.parametrize(("sample", "size"), [(None, 20), ("3", 3)])
def test_the_weekly_check_fails_with_what_differs(
    sample: str | None, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestration.definitions import defs

    asked = []

    def differing(home: object, *, run_id: str, sample: int) -> verify.Verdict:
        asked.append((home, run_id, sample))
        table = Table("refunds", "marts", ("id",))
        return verify.Verdict("3 dates of seed 1", (Comparison(table, 1, 0, 1, ("id=1: only in the working marts",)),))

    monkeypatch.setattr(verify, "verify", differing)
    monkeypatch.setenv("WAREHOUSE_HOME", str(tmp_path))
    monkeypatch.delenv("WAREHOUSE_VERIFY_SAMPLE", raising=False)
    if sample:
        monkeypatch.setenv("WAREHOUSE_VERIFY_SAMPLE", sample)
    with dg.DagsterInstance.ephemeral() as instance:
        result = defs.resolve_job_def("verify").execute_in_process(instance=instance, raise_on_error=False)
    [failure] = result.filter_events(lambda event: event.is_step_failure)
    assert "refunds" in failure.step_failure_data.user_failure_data.description
    assert "id=1: only in the working marts" in failure.step_failure_data.user_failure_data.description
    assert [(run_id, drawn) for _, run_id, drawn in asked] == [(result.run_id, size)]
