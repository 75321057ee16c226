"""Trees as arrays say what scikit-learn's say, missing values included."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from ml.trees import Trees, TreesError, growable


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    chance = np.random.default_rng(0)
    rows = chance.normal(size=(4_000, 6)).round(1)
    rows[chance.random(rows.shape) < 0.2] = np.nan
    rows[:, 5] = np.nan
    return rows


@pytest.mark.parametrize("leaves", [2, 4, 8])
def test_equal_to_scikit_learn(rows: np.ndarray, leaves: int) -> None:
    target = np.nan_to_num(rows[:, 0] * rows[:, 1]) + np.isnan(rows[:, 2]) + rows[:, 3].clip(0, 1)
    target = np.nan_to_num(target)
    options = {"max_leaf_nodes": leaves, "max_iter": 40, "early_stopping": False, "random_state": 0}
    regressor = HistGradientBoostingRegressor(loss="poisson", **options).fit(growable(rows), np.abs(target))
    classifier = HistGradientBoostingClassifier(**options).fit(growable(rows), target > 0.5)
    np.testing.assert_allclose(np.exp(Trees.of(regressor).raw(rows)), regressor.predict(rows), rtol=1e-12)
    np.testing.assert_allclose(Trees.of(classifier).raw(rows), classifier.decision_function(rows), rtol=0, atol=1e-12)


def test_arrays_come_back(rows: np.ndarray) -> None:
    model = HistGradientBoostingRegressor(max_leaf_nodes=8, max_iter=5).fit(growable(rows), np.nan_to_num(rows[:, 0]))
    trees = Trees.of(model)
    np.testing.assert_array_equal(Trees.from_arrays(trees.to_arrays()).raw(rows), trees.raw(rows))


def test_trees_of_more_than_eight_leaves_are_refused(rows: np.ndarray) -> None:
    model = HistGradientBoostingRegressor(max_leaf_nodes=9, max_iter=2).fit(growable(rows), np.nan_to_num(rows[:, 0]))
    with pytest.raises(TreesError, match="9 leaves"):
        Trees.of(model)


def test_arrays_that_are_no_trees_are_refused(rows: np.ndarray) -> None:
    model = HistGradientBoostingRegressor(max_leaf_nodes=8, max_iter=5).fit(growable(rows), np.nan_to_num(rows[:, 0]))
    arrays = Trees.of(model).to_arrays()
    with pytest.raises(TreesError, match="lack threshold"):
        Trees.from_arrays({name: array for name, array in arrays.items() if name != "threshold"})
    with pytest.raises(TreesError, match="shape"):
        Trees.from_arrays(arrays | {"threshold": arrays["threshold"][:, :3]})
    with pytest.raises(TreesError, match="feature"):
        Trees.from_arrays(arrays).raw(rows[:, :0])
