"""Gate 1: every rule is seen to fail on a planted violation, and to hold just short of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import duckdb
import great_expectations.expectations as gxe
import pandas as pd
import pytest

from orchestration import load
from orchestration.quality.suites import (
    FileFacts,
    GateResult,
    LoadFacts,
    SuiteError,
    judge_load,
    run_suite,
)

if TYPE_CHECKING:
    from pathlib import Path

USUAL = LoadFacts(
    feed="events",
    files=(FileFacts("events/a.csv", row_count=100),),
    kept_count=100,
    former_kept_counts=(90, 100, 110),
    newest_event_age_days=0.2,
    former_newest_event_ages_days=(0.1, 0.2, 0.3),
    event_types={"page_view": 80, "purchase": 20},
    former_event_types={"page_view": 240, "purchase": 60},
    known_event_types=frozenset({"page_view", "purchase"}),
)


def judge(**planted: object) -> GateResult:
    """Judge the usual load with something planted in it."""
    return judge_load(replace(USUAL, **planted))


def failed_rules(gate: GateResult) -> set[str]:
    """Return the rules that did not hold."""
    return {outcome.rule for suite in gate.suites for outcome in suite.outcomes if not outcome.passed}


def test_usual_load_passes_every_rule() -> None:
    gate = judge()
    assert gate.passed
    assert gate.warnings == ()
    assert failed_rules(gate) == set()


# ── Refusals ──────────────────────────────────────────────────────────────────────────────────


def test_unreadable_file_is_refused_with_its_problem() -> None:
    bad = FileFacts("events/b.csv", problem="events/b.csv: required column missing: created_at")
    gate = judge(files=(*USUAL.files, bad))
    assert gate.refused == {"events/b.csv": "events/b.csv: required column missing: created_at"}
    assert failed_rules(gate) == {"readable_with_required_columns"}


@pytest.mark.parametrize(("rejected", "is_refused"), [(50, False), (51, True)])
def test_more_than_half_rejected_is_refused(*, rejected: int, is_refused: bool) -> None:
    bad = FileFacts("events/b.csv", row_count=100, rejected_count=rejected, worst_rule="value_negative")
    gate = judge(files=(*USUAL.files, bad))
    assert gate.passed is not is_refused
    assert ("rejected_share_at_most_half" in failed_rules(gate)) is is_refused
    if is_refused:
        assert "51 of 100 rows were rejected, most by the rule value_negative" in gate.refused["events/b.csv"]
        assert gate.warnings == ()


# ── Warnings ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("rejected", "warnings"), [(5, 0), (6, 1)])
def test_more_than_a_twentieth_rejected_warns(rejected: int, warnings: int) -> None:
    file = FileFacts("events/a.csv", row_count=100, rejected_count=rejected, worst_rule="future_timestamp")
    gate = judge(files=(file,))
    assert gate.passed
    assert len(gate.warnings) == warnings
    assert failed_rules(gate) == ({"rejected_share_small"} if warnings else set())


@pytest.mark.parametrize(("kept", "is_usual"), [(49, False), (50, True), (200, True), (201, False)])
def test_unusual_volume_warns(*, kept: int, is_usual: bool) -> None:
    gate = judge(kept_count=kept)
    assert gate.passed
    assert failed_rules(gate) == (set() if is_usual else {"usual_volume"})


@pytest.mark.parametrize(("age", "is_fresh"), [(3.0, True), (3.1, False)])
def test_stale_load_of_a_live_feed_warns(*, age: float, is_fresh: bool) -> None:
    gate = judge(newest_event_age_days=age)
    assert gate.passed
    assert failed_rules(gate) == (set() if is_fresh else {"fresh_events"})


def test_stale_load_of_an_old_data_set_is_no_news() -> None:
    assert failed_rules(judge(newest_event_age_days=9000.0, former_newest_event_ages_days=())) == set()


def test_shifted_event_types_warn() -> None:
    gate = judge(event_types={"page_view": 55, "purchase": 45})
    assert gate.passed
    assert failed_rules(gate) == {"usual_event_type_shares"}
    assert "purchase makes 45% of the load, formerly 20%" in gate.warnings[1]


def test_vanished_event_type_warns() -> None:
    gate = judge(event_types={"purchase": 100})
    assert failed_rules(gate) == {"usual_event_type_shares"}


def test_unknown_event_type_warns_with_its_count() -> None:
    gate = judge(event_types={"page_view": 80, "purchase": 17, "teleport": 3})
    assert failed_rules(gate) == {"known_event_types"}
    assert "3 events of the unknown type teleport" in gate.warnings[0]


def test_event_types_are_known_in_any_case() -> None:
    gate = judge(event_types={"page_view": 80, "Purchase": 20}, former_event_types={})
    assert "known_event_types" not in failed_rules(gate)


def test_first_loads_are_compared_with_nothing() -> None:
    gate = judge(former_kept_counts=(1, 1), kept_count=10_000, event_types={"purchase": 100})
    assert failed_rules(gate) == set()


# ── The suite runner ──────────────────────────────────────────────────────────────────────────

REFUSE = {"rule": "small", "severity": "refuse"}


def test_failing_rows_are_told_whole_and_missing_values_pass() -> None:
    frame = pd.DataFrame({"path": ["a", "b", "c"], "n": [1.0, 7.0, None]}, index=[5, 5, 9])
    result = run_suite("s", frame, [gxe.ExpectColumnValuesToBeBetween(column="n", max_value=2, meta=REFUSE)])
    assert [outcome.failing for outcome in result.refusals] == [[{"path": "b", "n": 7.0}]]
    assert result.refusals[0].observed == "1 of 3 rows"
    assert result.warnings == ()


def test_outcomes_keep_the_order_of_the_expectations() -> None:
    rules = ["c", "a", "b"]
    expectations = [
        gxe.ExpectTableRowCountToBeBetween(min_value=2, meta={"rule": rule, "severity": "warn"}) for rule in rules
    ]
    result = run_suite("s", pd.DataFrame({"n": [1]}), expectations)
    assert [outcome.rule for outcome in result.warnings] == rules


def test_metric_that_cannot_be_computed_is_an_error_not_a_verdict() -> None:
    expectation = gxe.ExpectColumnValuesToBeBetween(column="absent", max_value=2, meta=REFUSE)
    with pytest.raises(SuiteError, match="suite s, rule small: the metric could not be computed"):
        run_suite("s", pd.DataFrame({"n": [1]}), [expectation])


@pytest.mark.parametrize("meta", [None, {"rule": "r"}, {"rule": "r", "severity": "fatal"}, {"severity": "warn"}])
def test_expectation_without_rule_and_severity_is_an_error(meta: dict[str, str] | None) -> None:
    with pytest.raises(SuiteError, match="needs meta"):
        run_suite("s", pd.DataFrame({"n": [1]}), [gxe.ExpectTableRowCountToBeBetween(min_value=1, meta=meta)])


def test_rule_names_are_unique_within_a_suite() -> None:
    expectation = gxe.ExpectTableRowCountToBeBetween(min_value=1, meta=REFUSE)
    with pytest.raises(SuiteError, match="same rule name"):
        run_suite("s", pd.DataFrame({"n": [1]}), [expectation, expectation])


def test_data_docs_gather_suites_and_forget_old_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestration.quality.suites.RESULTS_KEPT_PER_SUITE", 2)
    expectation = gxe.ExpectTableRowCountToBeBetween(min_value=2, meta=REFUSE)
    for suite in ("one", "one", "one", "two"):
        run_suite(suite, pd.DataFrame({"n": [1]}), [expectation], tmp_path)
    pages = [page.relative_to(tmp_path).parts[1] for page in tmp_path.glob("validations/**/*.html")]
    index = (tmp_path / "index.html").read_text()
    assert sorted(pages) == ["one", "one", "two"]
    assert "one" in index
    assert "two" in index


# ── From files to warnings ────────────────────────────────────────────────────────────────────


def test_facts_of_real_loads_reach_the_gate(tmp_path: Path) -> None:
    start = datetime(2026, 11, 1)  # noqa: DTZ001 (the raw tables hold UTC without a zone)
    folder = tmp_path / "raw" / "events"
    folder.mkdir(parents=True)

    def run(day: int, events: list[tuple[str, float]]) -> load.LoadReport:
        at = start + timedelta(days=day)
        lines = [f"c{n},{kind},{at - timedelta(days=age)}" for n, (kind, age) in enumerate(events)]
        (folder / f"{day}.csv").write_text("\n".join(["customer_id,event_type,created_at", *lines]))
        return load.load_new_files(
            con, tmp_path / "raw", run_id=str(day), loaded_at=at, known_event_types={"view", "purchase"}
        )

    with duckdb.connect() as con:
        for day in range(3):
            assert run(day, [("view", 0.5)] * 8 + [("purchase", 0.5)] * 2).warnings == ()
        report = run(3, [("view", 5)] * 10 + [("teleport", 5)] * 15 + [("view", -3)] * 2)
    assert not report.refused
    assert failed_rules(report.gates["events"]) == {
        "rejected_share_small",
        "usual_volume",
        "fresh_events",
        "usual_event_type_shares",
        "known_event_types",
    }
    assert "events/3.csv: 2 of 27 rows were rejected, most by the rule future_timestamp" in report.warnings
