"""Whether customers buy again within a horizon: the mean of a logistic model, boosted trees, and the purchase models.

Churn is the probability of *no purchase in H days*, not 1 - P(alive), which orders real customers worse than chance.
The logistic model and the trees are stacked on the purchase models: they learn from their figures, at origins before
the date where what followed is known, with models that were fitted to what was known at the origin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from ml.trees import Trees

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[np.float64]]

PENALTY = 0.01
"""Inverse strength of the logistic model's ridge, on columns of unit variance."""
TREES = {
    "learning_rate": 0.05,
    "max_iter": 200,
    # One split each: additive in the columns. The purchase models' logits are among them, little is left to be said.
    "max_leaf_nodes": 2,
    "min_samples_leaf": 50,
    "l2_regularization": 1.0,
    # Stopping early would set rows aside by their order.
    "early_stopping": False,
    "random_state": 0,
}
"""How the trees are grown."""
MOST_DEVIATIONS = 4.0
"""Where a column ends for the logistic model: its lines must not run away with one customer."""


@dataclass(frozen=True, eq=False)
class Logistic:
    """A logistic model of columns that are centred, scaled, cut, completed by whether they were missing, and bent once.

    Arrays: centre, scale (columns), bend (columns: where the line takes another slope, on the scaled column; at the
    median), weight (3 x columns: of the value, of its being missing, of what it has beyond the bend), intercept ().
    """

    centre: Array
    scale: Array
    bend: Array
    weight: Array
    intercept: Array

    @classmethod
    def fit(cls, rows: Array, is_silent: Array) -> Logistic:
        """Learn from rows with missing values whether a customer stays silent."""
        is_known = ~np.isnan(rows)
        counts = np.maximum(is_known.sum(axis=0), 1)
        centre = np.where(is_known, rows, 0).sum(axis=0) / counts
        scale = np.sqrt((np.where(is_known, rows - centre, 0) ** 2).sum(axis=0) / counts)
        scale = np.where(scale > 0, scale, 1.0)
        medians = (
            np.median(column[known]) if known.any() else 0.0 for column, known in zip(rows.T, is_known.T, strict=True)
        )
        bend = np.clip((np.fromiter(medians, float) - centre) / scale, -MOST_DEVIATIONS, MOST_DEVIATIONS)
        columns = _completed(rows, centre, scale, bend)
        # What is 0 for all has no weight, and the cost goes by the square of the columns.
        says_something = columns.any(axis=0)
        model = LogisticRegression(C=PENALTY, solver="newton-cholesky", max_iter=100)
        model.fit(columns[:, says_something], is_silent)
        weight = np.zeros(columns.shape[1])
        weight[says_something] = model.coef_[0]
        return cls(centre, scale, bend, weight, np.array(float(model.intercept_[0])))

    def raw(self, rows: Array) -> Array:
        """Return the logit of silence."""
        return _completed(rows, self.centre, self.scale, self.bend) @ self.weight + float(self.intercept)

    def to_arrays(self) -> dict[str, Array]:
        """Return the model as arrays of numbers."""
        return {name: getattr(self, name) for name in ("centre", "scale", "bend", "weight", "intercept")}


def _completed(rows: Array, centre: Array, scale: Array, bend: Array) -> Array:
    is_missing = np.isnan(rows)
    scaled = np.where(is_missing, 0, (np.where(is_missing, 0, rows) - centre) / scale)
    scaled = np.clip(scaled, -MOST_DEVIATIONS, MOST_DEVIATIONS)
    return np.hstack([scaled, is_missing, np.maximum(scaled - bend, 0)])


@dataclass(frozen=True, eq=False)
class Stack:
    """The two stacked models of silence within a horizon."""

    logistic: Logistic
    trees: Trees

    @classmethod
    def fit(cls, rows: Array, is_silent: Array) -> Stack:
        """Learn from rows (ml.features.matrix) whether customers stayed silent; both must occur."""
        trees = Trees.grow(HistGradientBoostingClassifier(**TREES), rows, is_silent)
        return cls(Logistic.fit(rows, is_silent), trees)

    def silence(self, rows: Array, any_purchase: Array) -> Array:
        """Return P(no purchase): the mean of both models and of the purchase models' 1 - P(any purchase)."""
        return (expit(self.logistic.raw(rows)) + expit(self.trees.raw(rows)) + 1 - any_purchase) / 3
