"""Metrics against figures computed by hand and against scikit-learn's."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn import metrics as reference

from ml import evaluation
from ml.evaluation import PROBABILITY_METRICS, VALUE_METRICS, bootstrap_interval, deciles

if TYPE_CHECKING:
    from collections.abc import Callable

ACTUAL = [0.0, 10.0, 0.0, 50.0, 40.0]
PREDICTED = [5.0, 5.0, 0.0, 20.0, 30.0]
HAPPENED = [1, 0, 1, 1, 0]
PROBABILITY = [0.9, 0.9, 0.6, 0.4, 0.05]


@pytest.mark.parametrize(
    ("metric", "by_hand"),
    [
        ("mae", (5 + 5 + 0 + 30 + 10) / 5),
        ("rmse", math.sqrt((25 + 25 + 0 + 900 + 100) / 5)),
        ("bias", 60 / 100 - 1),
        # Ranks 1.5 3 1.5 5 4 and 2.5 2.5 1 4 5 about their mean 3: covariance 7.75, squares 9.5 and 9.5.
        ("spearman", 7.75 / 9.5),
        # 10 x -.5 + 50 x 1 + 40 x 2 over 10 x 0 + 50 x 2 + 40 x 1.
        ("normalised_gini", 125 / 140),
    ],
)
def test_values_by_hand(metric: str, by_hand: float) -> None:
    assert VALUE_METRICS[metric](ACTUAL, PREDICTED) == pytest.approx(by_hand, abs=1e-12)


@pytest.mark.parametrize(
    ("metric", "by_hand"),
    [
        # Six pairs: of .9 against .9 (half) and .05, .6 and .4 against .9 (lost) and .05.
        ("roc_auc", (0.5 + 1 + 0 + 1 + 0 + 1) / 6),
        # Thresholds .9, .6, .4: precision 1/2, 2/3, 3/4, a third of the events each.
        ("pr_auc", (1 / 2 + 2 / 3 + 3 / 4) / 3),
        ("brier", (0.01 + 0.81 + 0.16 + 0.36 + 0.0025) / 5),
        ("log_loss", -math.log(0.9 * 0.1 * 0.6 * 0.4 * 0.95) / 5),
        # Bins .9: |1.8 - 1|, .6: |.6 - 1|, .4: |.4 - 1|, .05: .05.
        ("expected_calibration_error", (0.8 + 0.4 + 0.6 + 0.05) / 5),
        ("accuracy", 3 / 5),
        ("base_rate", 3 / 5),
        ("base_rate_accuracy", 3 / 5),
    ],
)
def test_probabilities_by_hand(metric: str, by_hand: float) -> None:
    assert PROBABILITY_METRICS[metric](HAPPENED, PROBABILITY) == pytest.approx(by_hand, abs=1e-12)


@pytest.mark.parametrize("digits", [1, 2, 17])
def test_metrics_are_those_of_the_field(digits: int) -> None:
    chance = np.random.default_rng(digits)
    probability = chance.random(3000).round(digits)
    happened = (chance.random(3000) < probability**2).astype(int)
    pairs: list[tuple[str, Callable[..., float]]] = [
        ("roc_auc", reference.roc_auc_score),
        ("pr_auc", reference.average_precision_score),
        ("brier", reference.brier_score_loss),
        ("log_loss", reference.log_loss),
    ]
    for name, expected in pairs:
        assert PROBABILITY_METRICS[name](happened, probability) == pytest.approx(expected(happened, probability))
    assert evaluation.accuracy(happened, probability) == reference.accuracy_score(happened, probability >= 0.5)
    actual, predicted = chance.gamma(0.3, 50, 3000).round(digits), chance.gamma(1, 20, 3000).round(digits)
    assert evaluation.mean_absolute_error(actual, predicted) == pytest.approx(
        reference.mean_absolute_error(actual, predicted)
    )
    assert evaluation.root_mean_squared_error(actual, predicted) == pytest.approx(
        reference.root_mean_squared_error(actual, predicted)
    )
    assert evaluation.spearman(actual, predicted) == pytest.approx(spearmanr(actual, predicted).statistic)
    # The Gini coefficient of an event is 2 AUC - 1, and so is its normalised form.
    assert evaluation.normalised_gini(happened, probability) == pytest.approx(
        2 * reference.roc_auc_score(happened, probability) - 1
    )


def test_order_of_customers_says_nothing() -> None:
    chance = np.random.default_rng(1)
    actual, predicted = chance.gamma(0.3, 50, 500).round(), chance.gamma(1, 20, 500).round(-1)
    shuffled = chance.permutation(500)
    for metric in VALUE_METRICS.values():
        assert metric(actual, predicted) == pytest.approx(metric(actual[shuffled], predicted[shuffled]), rel=1e-12)


@pytest.mark.parametrize(
    ("metric", "actual", "predicted"),
    [
        *((name, [], []) for name in (*VALUE_METRICS, *PROBABILITY_METRICS)),
        ("bias", [0, 0], [1, 2]),
        ("bias", [-5, 1], [1, 2]),
        ("normalised_gini", [0, 0], [1, 2]),
        ("normalised_gini", [3, 3], [1, 2]),
        ("spearman", [1, 2], [3, 3]),
        ("roc_auc", [1, 1], [0.2, 0.3]),
        ("roc_auc", [0, 0], [0.2, 0.3]),
        ("pr_auc", [0, 0], [0.2, 0.3]),
    ],
)
def test_what_cannot_be_told_is_null(metric: str, actual: list[float], predicted: list[float]) -> None:
    assert math.isnan({**VALUE_METRICS, **PROBABILITY_METRICS}[metric](actual, predicted))


def test_certainty_that_fails_is_dear_but_finite() -> None:
    assert evaluation.log_loss([1, 0], [0.0, 1.0]) == pytest.approx(-math.log(np.finfo(float).eps))


def test_coverage_counts_customers_with_an_interval() -> None:
    assert evaluation.interval_coverage([1, 5, 9, 3], [0, 6, 9, np.nan], [2, 7, 9, np.nan]) == pytest.approx(2 / 3)
    assert math.isnan(evaluation.interval_coverage([1], [np.nan], [np.nan]))


def test_groups_have_their_own_rows() -> None:
    frame = evaluation.value_metrics(ACTUAL, PREDICTED, [1, 1, 3, 5, 9], interval=([0] * 5, [9, 9, 9, 50, 9]))
    table = frame.set_index(["purchase_group", "metric"])
    assert list(frame.columns) == ["purchase_group", "metric", "value", "n"]
    assert {group: table.loc[(group, "mae"), "n"] for group in ("all", "1", "2", "3-5", "6+")} == {
        "all": 5,
        "1": 2,
        "2": 0,
        "3-5": 2,
        "6+": 1,
    }
    assert table.loc[("1", "mae"), "value"] == 5
    assert table.loc[("6+", "rmse"), "value"] == 10
    assert pd.isna(table.loc[("2", "mae"), "value"])
    assert table.loc[("all", "interval_coverage"), "value"] == pytest.approx(3 / 5)
    probabilities = evaluation.probability_metrics(HAPPENED, PROBABILITY, [1, 2, 3, 4, 6])
    assert len(probabilities) == 5 * len(PROBABILITY_METRICS)
    assert not probabilities.duplicated(["purchase_group", "metric"]).any()


def test_bootstrap_covers_what_it_should_nine_times_in_ten() -> None:
    chance = np.random.default_rng(11)
    covered = 0
    for _ in range(200):
        error = chance.normal(size=100)
        low, high = bootstrap_interval(evaluation.mean_absolute_error, np.zeros(100), error, draws=200)
        covered += low <= math.sqrt(2 / math.pi) <= high
    assert 0.83 <= covered / 200 <= 0.95


def test_bootstrap_repeats_and_skips_what_cannot_be_told() -> None:
    first = bootstrap_interval(evaluation.roc_auc, HAPPENED, PROBABILITY)
    assert first == bootstrap_interval(evaluation.roc_auc, HAPPENED, PROBABILITY)
    assert 0 <= first[0] < first[1] <= 1
    assert all(math.isnan(end) for end in bootstrap_interval(evaluation.roc_auc, [1, 1], [0.1, 0.2]))
    assert all(math.isnan(end) for end in bootstrap_interval(evaluation.brier, [], []))


def test_bootstrap_compares_two_models_on_the_same_customers() -> None:
    def ratio(actual: np.ndarray, one: np.ndarray, two: np.ndarray) -> float:
        return evaluation.mean_absolute_error(actual, one) / evaluation.mean_absolute_error(actual, two)

    actual = np.random.default_rng(2).gamma(1, 10, 300)
    low, high = bootstrap_interval(ratio, actual, actual + 1, actual + 2)
    assert low == pytest.approx(0.5)
    assert high == pytest.approx(0.5)


def test_deciles_are_tenths_from_the_highest_prediction() -> None:
    table = deciles(np.arange(25.0), np.arange(25.0) * 2)
    assert table["decile"].tolist() == list(range(1, 11))
    assert table["n"].tolist() == [3, 2, 3, 2, 3, 2, 3, 2, 3, 2]
    assert table["predicted_mean"].iloc[0] == 46
    assert table["actual_mean"].iloc[0] == 23
    few = deciles([0.0, 0.0], [1.0, 2.0])
    assert few["decile"].tolist() == [1, 2]
    assert few["predicted_mean"].tolist() == [2.0, 1.0]
    assert deciles([], []).empty


def test_arrays_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="1 outcomes and 2 predictions"):
        evaluation.brier([1], [0.5, 0.5])
