"""Gate 2 seen failing: every rule has a planted violation, and a twin at the edge that passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from orchestration.quality.prediction_gate import NO_MODEL, NOTHING_RECORDED, RULES, Former, Quality, judge, measure

if TYPE_CHECKING:
    from orchestration.quality.prediction_gate import Verdict

SCORED = {
    "churn_probability": 0.25,
    "purchase_probability_30_days": 0.5,
    "purchase_probability_90_days": 0.75,
    "confidence_score": 1.0,
    "current_ltv": 0.0,
    "expected_spend_90_days": 10.0,
    "expected_spend_90_days_low": 0.0,
    "expected_spend_90_days_high": 30.0,
    "expected_spend_1year": 40.0,
    "expected_spend_1year_low": 0.0,
    "expected_spend_1year_high": 80.0,
    "expected_spend_3year": 100.0,
    "expected_spend_3year_low": 50.0,
    "expected_spend_3year_high": 50.0,
    "expected_spend_5year": 100.0,
    "expected_spend_5year_low": 50.0,
    "expected_spend_5year_high": 150.0,
    "predicted_ltv_1year": 40.0,
    "predicted_ltv_3year": 100.0,
    "predicted_ltv_5year": 100.0,
    "no_prediction_reason": None,
}
SILENT = dict.fromkeys(SCORED) | {"no_prediction_reason": "no purchase yet"}


def verdict(
    *changes: dict[str, Any], buyers: int = 2, former: Former = NOTHING_RECORDED, quality: Quality = NO_MODEL
) -> Verdict:
    """Judge a shop of one customer scored as planted, one scored well, and one without a purchase."""
    rows = [SCORED | change for change in (*changes, {})] + [SILENT]
    return judge([measure("shop", pd.DataFrame(rows), buyers=buyers, former=former, quality=quality)])


def rules(sentences: tuple[str, ...]) -> set[str]:
    """Return the names of the rules that were broken."""
    return {sentence.split(": ")[0].removeprefix("gate 2, ") for sentence in sentences}


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("out_of_range", {"churn_probability": -0.000001}),
        ("out_of_range", {"churn_probability": 1.000001}),
        ("out_of_range", {"purchase_probability_30_days": 2.0}),
        ("out_of_range", {"confidence_score": -1.0}),
        ("out_of_range", {"current_ltv": -0.01}),
        ("out_of_range", {"expected_spend_5year_high": np.inf}),
        ("disordered", {"expected_spend_3year": 39.99}),
        ("disordered", {"expected_spend_5year": 99.99}),
        ("disordered", {"expected_spend_1year_low": 80.01}),
        ("disordered", {"expected_spend_90_days_low": 30.01}),
        ("unexplained", {"churn_probability": None}),
        ("unexplained", {"churn_probability": np.nan}),
        ("unexplained", {"no_prediction_reason": "no purchase yet"}),
    ],
)
def test_a_faulty_score_refuses_its_tenant(rule: str, change: dict[str, Any]) -> None:
    found = verdict(change)
    assert rules(found.refused["shop"]) == {rule}
    assert "1 of 3 customers" in found.refused["shop"][0]


def test_a_buyer_without_a_score_refuses_the_tenant() -> None:
    assert rules(verdict({}, buyers=4).refused["shop"]) == {"uncovered"}
    assert verdict({}, buyers=3).refused == {}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"churn_probability": 0.0},
        {"churn_probability": 1.0},
        {"expected_spend_3year": 40.0, "current_ltv": 168_469.0},
    ],
)
def test_scores_at_the_edge_pass(change: dict[str, Any]) -> None:
    found = verdict(change)
    assert (found.refused, found.warnings) == ({}, {})


@pytest.mark.parametrize(
    ("rule", "at_edge", "beyond"),
    [
        ("churn_drift", Former(churn_mean=0.40), Former(churn_mean=0.41)),
        ("value_drift", Former(value_mean=40 / 1.5), Former(value_mean=26.6)),
        ("calibration_error", Quality(calibration_error=0.1), Quality(calibration_error=0.11)),
        ("value_bias", Quality(value_bias=-0.25), Quality(value_bias=-0.26)),
    ],
)
def test_what_drifts_or_misses_is_told(rule: str, at_edge: Former | Quality, beyond: Former | Quality) -> None:
    def judged(side: Former | Quality) -> Verdict:
        return verdict(**{"former" if isinstance(side, Former) else "quality": side})

    assert judged(at_edge).warnings == {}
    assert rules(judged(beyond).warnings["shop"]) == {rule}
    assert judged(beyond).refused == {}


def test_a_tenant_is_refused_alone() -> None:
    faulty = measure("faulty", pd.DataFrame([SCORED | {"current_ltv": -1.0}]), buyers=1)
    sound = measure("sound", pd.DataFrame([SCORED]), buyers=1)
    assert judge([faulty, sound]).refused.keys() == {"faulty"}


def test_every_rule_is_planted() -> None:
    planted = {"out_of_range", "disordered", "unexplained", "uncovered"}
    planted |= {"churn_drift", "value_drift", "calibration_error", "value_bias"}
    assert {rule.name for rule in RULES} == planted
