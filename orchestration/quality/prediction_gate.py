"""Gate 2, which decides whether what the models say of a tenant's customers is fit to be recorded.

Like gate 3 it counts first, here one record per tenant, and lets Great Expectations judge the counts. A tenant that is
refused keeps what was last recorded of it; the others, and the rest of the run, go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from orchestration.load.tables import MONEY_PREDICTED
from orchestration.quality.release_gate import Rule
from orchestration.quality.suites import run_suite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from orchestration.quality.release_gate import Record
    from orchestration.quality.suites import SuiteResult

PROBABILITIES = (
    "churn_probability",
    "purchase_probability_30_days",
    "purchase_probability_90_days",
    "confidence_score",
)
"""Columns of scores that lie within 0 and 1, or are null."""

YEARS = ("1year", "3year", "5year")
"""Horizons of value, as the columns name them."""

HORIZONS = ("90_days", *YEARS)
"""Horizons of value that have an interval."""

RULES = (
    Rule("out_of_range", "refuse", 0, "{out_of_range:,} of {customers:,} customers have a value out of its range"),
    Rule("disordered", "refuse", 0, "{disordered:,} of {customers:,} customers are worth less in more years"),
    Rule("unexplained", "refuse", 0, "{unexplained:,} of {customers:,} customers have no score and no reason, or both"),
    Rule("uncovered", "refuse", 0, "{uncovered:,} of {buyers:,} buyers are not scored at all"),
    Rule("churn_drift", "warn", 0.15, "mean churn is {churn_mean:.3f} after {former_churn_mean:.3f}"),
    Rule("value_drift", "warn", 0.50, "mean value is {value_mean:,.2f} after {former_value_mean:,.2f}"),
    Rule("calibration_error", "warn", 0.10, "churn missed by {calibration_error:.3f} in the backtest"),
    Rule("value_bias", "warn", 0.25, "spend missed by {value_bias:.0%} in the backtest"),
)
"""The most that the measure of each name may be. Drifts are against the last recording: an absolute difference of
churn, a relative one of value."""


@dataclass(frozen=True)
class Former:
    """What was last recorded of a tenant; None where nothing was."""

    churn_mean: float | None = None
    value_mean: float | None = None


@dataclass(frozen=True)
class Quality:
    """How the tenant's model did in its backtest; None where it has none."""

    calibration_error: float | None = None
    """Expected calibration error of churn, in probability."""
    value_bias: float | None = None
    """(predicted - actual) / actual spend of all customers."""


NOTHING_RECORDED = Former()
NO_MODEL = Quality()


@dataclass(frozen=True)
class Verdict:
    """What gate 2 found, in sentences by tenant."""

    refused: Mapping[str, tuple[str, ...]]
    warnings: Mapping[str, tuple[str, ...]]
    results: tuple[SuiteResult, ...] = ()


def judge(records: Sequence[Record], docs_dir: Path | None = None) -> Verdict:
    """Judge one record per tenant (`measure`); with `docs_dir`, the suite also becomes a page of the Data Docs."""
    import pandas as pd

    if not records:
        return Verdict({}, {})
    suite = run_suite("predictions.scores", pd.DataFrame(records), [rule.expectation() for rule in RULES], docs_dir)
    return Verdict(_sentences(suite.refusals), _sentences(suite.warnings), (suite,))


def _sentences(outcomes: Sequence) -> dict[str, tuple[str, ...]]:
    findings = {rule.name: rule.finding for rule in RULES}
    said: dict[str, tuple[str, ...]] = {}
    for outcome in outcomes:
        for record in outcome.failing:
            sentence = f"gate 2, {outcome.rule}: {findings[outcome.rule].format(**record)}"
            said[record["tenant"]] = (*said.get(record["tenant"], ()), sentence)
    return said


def measure(
    tenant: str, scores: pd.DataFrame, *, buyers: int, former: Former = NOTHING_RECORDED, quality: Quality = NO_MODEL
) -> Record:
    """Return the record of a tenant that gate 2 judges.

    Args:
        tenant: whose customers were scored.
        scores: one row per customer with the columns of raw.predictions.
        buyers: customers with a purchase by the as-of date, who all must be in `scores`.
        former: means of the last recording.
        quality: of the model that scored.

    """
    churn, value = scores["churn_probability"], scores["expected_spend_1year"]
    churn_mean, value_mean = (_mean(column) for column in (churn, value))
    return {
        "tenant": tenant,
        "customers": len(scores),
        "buyers": buyers,
        "out_of_range": int(_out_of_range(scores).sum()),
        "disordered": int(_disordered(scores).sum()),
        "unexplained": int((churn.isna() == scores["no_prediction_reason"].isna()).sum()),
        "uncovered": max(buyers - len(scores), 0),
        "churn_mean": churn_mean,
        "former_churn_mean": _number(former.churn_mean),
        # Rounded, because 0.4 - 0.25 is a little more than 0.15 in binary.
        "churn_drift": round(abs(churn_mean - _number(former.churn_mean)), 9),
        "value_mean": value_mean,
        "former_value_mean": _number(former.value_mean),
        "value_drift": round(abs(value_mean / former.value_mean - 1), 9) if former.value_mean else np.nan,
        "calibration_error": _number(quality.calibration_error),
        "value_bias": abs(_number(quality.value_bias)),
    }


def _out_of_range(scores: pd.DataFrame) -> pd.Series:
    # What is not a number counts as null: without a reason it is unexplained.
    probabilities = scores[[*PROBABILITIES]].astype(float)
    amounts = scores[[*MONEY_PREDICTED]].astype(float)
    wrong = ((probabilities < 0) | (probabilities > 1)).any(axis=1)
    return wrong | (amounts < 0).any(axis=1) | np.isinf(amounts).any(axis=1)


def _disordered(scores: pd.DataFrame) -> pd.Series:
    one, three, five = (scores[f"expected_spend_{years}"].astype(float) for years in YEARS)
    is_turned = [scores[f"expected_spend_{over}_low"] > scores[f"expected_spend_{over}_high"] for over in HORIZONS]
    return (one > three) | (three > five) | np.logical_or.reduce(is_turned)


def _mean(column: pd.Series) -> float:
    return float(column.astype(float).mean()) if column.notna().any() else np.nan


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)
