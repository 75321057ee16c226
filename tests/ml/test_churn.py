"""What the logistic model of silence can say of a column."""

from __future__ import annotations

import numpy as np

from ml.churn import Logistic
from ml.evaluation import roc_auc


def test_a_column_may_count_one_way_up_to_its_median_and_another_way_beyond() -> None:
    rng = np.random.default_rng(1)
    rows = np.column_stack([rng.uniform(-2, 2, 5_000), np.full(5_000, np.nan), rng.normal(size=5_000)])
    is_silent = rng.random(5_000) < 1 / (1 + np.exp(3 - 3 * np.abs(rows[:, 0])))
    logistic = Logistic.fit(rows, is_silent)
    assert roc_auc(is_silent, logistic.raw(rows)) > 0.8
    straight = Logistic(**(logistic.to_arrays() | {"bend": np.full(3, np.inf)}))
    assert roc_auc(is_silent, straight.raw(rows)) < 0.6


def test_a_missing_value_counts_as_missing_and_as_nothing_else() -> None:
    rng = np.random.default_rng(2)
    column = rng.normal(size=4_000)
    column[::2] = np.nan
    is_silent = np.where(np.isnan(column), rng.random(4_000) < 0.9, rng.random(4_000) < 0.1)
    raw = Logistic.fit(column[:, None], is_silent).raw(np.array([[np.nan], [-1.0], [1.0]]))
    assert raw[0] > 1 > -1 > max(raw[1:])
