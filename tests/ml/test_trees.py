"""Trees as arrays say what scikit-learn's say, missing values included."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from ml.trees import Trees, TreesError


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    chance = np.random.default_rng(0)
    rows = chance.normal(size=(4_000, 6)).round(1)
    rows[chance.random(rows.shape) < 0.2] = np.nan
    rows[:, 5] = np.nan
    return rows


def regressor(leaves: int = 8, rounds: int = 5) -> HistGradientBoostingRegressor:
    return HistGradientBoostingRegressor(
        loss="poisson", max_leaf_nodes=leaves, max_iter=rounds, early_stopping=False, random_state=0
    )


def grown(rows: np.ndarray, leaves: int = 8) -> Trees:
    return Trees.grow(regressor(leaves), rows, np.abs(np.nan_to_num(rows[:, 0])))


@pytest.mark.parametrize("leaves", [2, 4, 8])
def test_equal_to_scikit_learn(rows: np.ndarray, leaves: int) -> None:
    target = np.nan_to_num(rows[:, 0] * rows[:, 1]) + np.isnan(rows[:, 2]) + rows[:, 3].clip(0, 1)
    target = np.abs(np.nan_to_num(target))
    options = {"max_leaf_nodes": leaves, "max_iter": 40, "early_stopping": False, "random_state": 0}
    seen = np.where(np.isnan(rows).all(axis=0), 0.0, rows)
    theirs = regressor(leaves, 40).fit(seen, target)
    ours = Trees.grow(regressor(leaves, 40), rows, target)
    np.testing.assert_allclose(np.exp(ours.raw(rows)), theirs.predict(rows), rtol=1e-12)
    theirs = HistGradientBoostingClassifier(**options).fit(seen, target > 0.5)
    ours = Trees.grow(HistGradientBoostingClassifier(**options), rows, target > 0.5)
    np.testing.assert_allclose(ours.raw(rows), theirs.decision_function(rows), rtol=0, atol=1e-12)


def test_many_values_are_parted_as_scikit_learn_parts_them() -> None:
    chance = np.random.default_rng(1)
    rows, new = chance.normal(size=(5_000, 4)), chance.normal(size=(5_000, 4))
    rows[chance.random(rows.shape) < 0.1] = np.nan
    target = np.abs(np.nan_to_num(rows[:, 0] * rows[:, 1]))
    theirs, ours = regressor(rounds=60).fit(rows, target), Trees.grow(regressor(rounds=60), rows, target)
    np.testing.assert_allclose(np.exp(ours.raw(new)), theirs.predict(new), rtol=1e-12)


def test_columns_that_part_nobody_change_nothing(rows: np.ndarray) -> None:
    constant, target = np.full(len(rows), 7.0), np.abs(np.nan_to_num(rows[:, 0] + rows[:, 3]))
    some = np.where(rows[:, 4] > 0, np.nan, 3.0)
    with_more = np.column_stack([constant, rows[:, :2], constant, rows[:, 2:5], some])
    without, more = (Trees.grow(regressor(), seen, target) for seen in (with_more[:, [1, 2, 4, 5, 6, 7]], with_more))
    assert not {0, 3} & set(more.feature[more.right_mask != 255])
    np.testing.assert_array_equal(more.raw(with_more), without.raw(with_more[:, [1, 2, 4, 5, 6, 7]]))
    assert set(np.unique(Trees.grow(regressor(), constant[:, None], target).raw(constant[:, None])).round(9)) == {
        np.log(target.mean()).round(9)
    }


def test_missing_alone_parts(rows: np.ndarray) -> None:
    some = np.where(rows[:, 4] > 0, np.nan, 3.0)[:, None]
    target = np.where(np.isnan(some[:, 0]), 5.0, 1.0)
    parted = Trees.grow(regressor(), some, target).raw(some)
    assert parted[np.isnan(some[:, 0])].min() > parted[~np.isnan(some[:, 0])].max()


def test_weights_count(rows: np.ndarray) -> None:
    """A row of weight 2 is two rows; bins are the same, because there are few values."""
    target = np.abs(np.nan_to_num(rows[:, 0]))
    twice = np.arange(len(rows)) % 2 == 0
    model = regressor().set_params(min_samples_leaf=1)
    weighted = Trees.grow(model, rows, target, 1.0 + twice).raw(rows)
    repeated = Trees.grow(model, np.vstack([rows, rows[twice]]), np.append(target, target[twice])).raw(rows)
    np.testing.assert_allclose(weighted, repeated, rtol=1e-4)
    assert not np.allclose(weighted, Trees.grow(model, rows, target).raw(rows), rtol=1e-4)


def test_arrays_come_back(rows: np.ndarray) -> None:
    trees = grown(rows)
    np.testing.assert_array_equal(Trees.from_arrays(trees.to_arrays()).raw(rows), trees.raw(rows))


def test_trees_of_more_than_eight_leaves_are_refused(rows: np.ndarray) -> None:
    with pytest.raises(TreesError, match="9 leaves"):
        grown(rows, leaves=9)


def test_arrays_that_are_no_trees_are_refused(rows: np.ndarray) -> None:
    arrays = grown(rows).to_arrays()
    with pytest.raises(TreesError, match="lack threshold"):
        Trees.from_arrays({name: array for name, array in arrays.items() if name != "threshold"})
    with pytest.raises(TreesError, match="shape"):
        Trees.from_arrays(arrays | {"threshold": arrays["threshold"][:, :3]})
    with pytest.raises(TreesError, match="feature"):
        Trees.from_arrays(arrays).raw(rows[:, :0])
