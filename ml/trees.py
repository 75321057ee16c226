"""Boosted trees as plain arrays: scikit-learn grows them, this module keeps and applies them.

A stored model is numbers that numpy reads: no object is built from a file, no code runs, no version of scikit-learn is
asked for. Trees of at most eight leaves are applied by bit vectors, one bit a leaf, after QuickScorer (Lucchese et al.
2015, SIGIR, section 3): every split of a tree strikes out the leaves that it makes unreachable, and the leftmost one
that is left is the row's.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    Array = np.ndarray[Any, Any]

MOST_LEAVES = 8
"""Leaves of a tree: one bit each of a byte."""
ROWS_AT_ONCE = 50_000
"""Rows whose vectors stay in the processor's cache together."""
MOST_BINS = 255
"""Values of a column that splits are looked for between: as many as scikit-learn tells apart."""
LOWEST_BIT = np.array([(byte & -byte).bit_length() - 1 for byte in range(256)], dtype=np.intp)
ALL_LEAVES = np.uint8(255)


class TreesError(ValueError):
    """Arrays that are no trees: wrong shapes, or a feature that the rows do not have."""


@dataclass(frozen=True, eq=False)
class Trees:
    """Boosted trees. Shapes: splits (trees, 7), `leaf_value` (trees, 8), `baseline` ().

    A row goes right at a split where its feature is greater than the threshold, or missing and `is_missing_right`;
    then it is in none of the leaves on the left: `right_mask` has a bit for each of the others.
    """

    feature: Array
    threshold: Array
    is_missing_right: Array
    right_mask: Array
    leaf_value: Array
    baseline: Array

    def __post_init__(self) -> None:
        """Raise TreesError where the shapes do not fit each other."""
        splits = (len(self.leaf_value), MOST_LEAVES - 1)
        shapes = {getattr(self, name).shape for name in ("feature", "threshold", "is_missing_right", "right_mask")}
        if shapes != {splits} or self.leaf_value.shape != (splits[0], MOST_LEAVES) or self.baseline.shape != ():
            raise TreesError(f"trees need splits of shape {splits} and eight leaves each")

    @classmethod
    def grow(
        cls,
        model: HistGradientBoostingClassifier | HistGradientBoostingRegressor,
        rows: Array,
        target: Array,
        weight: Array | None = None,
    ) -> Trees:
        """Return the trees that a model grows on rows (rows, features) with missing values.

        It sees the number of the bin that each value falls in. The bins are those that scikit-learn makes without
        weights: with them its quantiles take five times as long as the trees.
        """
        columns = np.ascontiguousarray(rows.T)
        edges = [_edges(column) for column in columns]
        # What is the same for all parts nobody, and costs as much as the others.
        is_known = ~np.isnan(columns)
        parts = is_known.any(axis=1) & ~is_known.all(axis=1) | np.array([len(ends) > 0 for ends in edges])
        kept = np.flatnonzero(parts) if parts.any() else np.array([0])
        bins = np.column_stack([_bins(columns[place], edges[place]) for place in kept])
        grown = cls.of(model.fit(bins, target, sample_weight=weight))
        feature, threshold = kept[grown.feature].astype(np.int32), grown.threshold.copy()
        is_split = (grown.right_mask != ALL_LEAVES) & np.isfinite(threshold)
        places = zip(feature[is_split], threshold[is_split], strict=True)
        threshold[is_split] = [edges[place][int(between)] for place, between in places]
        return replace(grown, feature=feature, threshold=threshold)

    @classmethod
    def of(cls, model: HistGradientBoostingClassifier | HistGradientBoostingRegressor) -> Trees:
        """Return the trees of a fitted model of one output, numeric features, and at most eight leaves."""
        trees = [_Flat.of(stage[0].nodes) for stage in model._predictors]  # noqa: SLF001 - scikit-learn has no other way
        columns = (np.array(column) for column in zip(*trees, strict=True))
        return cls(*columns, np.array(float(np.ravel(model._baseline_prediction)[0])))  # noqa: SLF001

    @classmethod
    def from_arrays(cls, arrays: dict[str, Array]) -> Trees:
        """Return the trees that `arrays` holds; raise TreesError where they are none."""
        names = [field.name for field in fields(cls)]
        if missing := [name for name in names if name not in arrays]:
            raise TreesError(f"trees lack {', '.join(missing)}")
        return cls(*(arrays[name] for name in names))

    def to_arrays(self) -> dict[str, Array]:
        """Return the trees as arrays of numbers."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def raw(self, rows: Array) -> Array:
        """Return the sum over trees for each row (rows, features): the logit of a classifier, the log of a Poisson."""
        if self.feature.max(initial=-1) >= rows.shape[1]:
            raise TreesError(f"trees ask for feature {self.feature.max()} of rows that have {rows.shape[1]}")
        parts = [self._raw(rows[start : start + ROWS_AT_ONCE]) for start in range(0, len(rows), ROWS_AT_ONCE)]
        return np.concatenate(parts) if parts else np.zeros(0)

    def _raw(self, rows: Array) -> Array:
        columns = np.ascontiguousarray(rows.T)
        total = np.full(len(rows), float(self.baseline))
        value_of_leaves = self.leaf_value[:, LOWEST_BIT]
        for tree, values in enumerate(value_of_leaves):
            leaves = np.full(len(rows), ALL_LEAVES)
            for split in range(MOST_LEAVES - 1):
                mask = self.right_mask[tree, split]
                if mask == ALL_LEAVES:
                    continue
                column, threshold = columns[self.feature[tree, split]], self.threshold[tree, split]
                # A comparison with a missing value is false: that decides where it goes.
                is_left = column <= threshold if self.is_missing_right[tree, split] else ~(column > threshold)
                # All bits where it is left, else the mask: np.where takes five times as long.
                leaves &= np.negative(is_left.view(np.uint8)) | mask
            total += values.take(leaves)
        return total


def _edges(column: Array) -> Array:
    """Return what parts the values of a column: midpoints of the few, quantiles of the many."""
    known = column[~np.isnan(column)]
    values = np.unique(known)
    if len(values) <= MOST_BINS:
        return (values[1:] + values[:-1]) / 2
    levels = np.linspace(0, 100, MOST_BINS + 1)[1:-1]
    return np.unique(np.percentile(known, levels, method="averaged_inverted_cdf"))


def _bins(column: Array, edges: Array) -> Array:
    """Return the number of the bin of each value, the left of which is open; missing ones stay so beside others.

    A column without any value is 0.
    """
    is_missing = np.isnan(column)
    bins = np.searchsorted(edges, column, side="left").astype(float)
    bins[is_missing] = 0.0 if is_missing.all() else np.nan
    return bins


class _Flat:
    """One tree of scikit-learn's, its splits beside each other and its leaves from left to right."""

    @classmethod
    def of(cls, nodes: Array) -> tuple[Array, Array, Array, Array, Array]:
        """Return feature, threshold, is_missing_right, right_mask (7 each) and leaf_value (8)."""
        splits: list[tuple[int, float, bool, int]] = []
        values: list[float] = []

        def walk(place: int) -> int:
            """Return the bits of the leaves below a node."""
            node = nodes[place]
            if node["is_leaf"]:
                values.append(float(node["value"]))
                return 1 << (len(values) - 1)
            left = walk(int(node["left"]))
            splits.append(
                (int(node["feature_idx"]), float(node["num_threshold"]), not node["missing_go_to_left"], 255 & ~left)
            )
            return left | walk(int(node["right"]))

        walk(0)
        if len(values) > MOST_LEAVES:
            raise TreesError(f"a tree of {len(values)} leaves: at most {MOST_LEAVES} can be kept")
        splits += [(0, np.inf, False, 255)] * (MOST_LEAVES - 1 - len(splits))
        values += [0.0] * (MOST_LEAVES - len(values))
        feature, threshold, is_missing_right, right_mask = zip(*splits, strict=True)
        return (
            np.array(feature, dtype=np.int32),
            np.array(threshold, dtype=float),
            np.array(is_missing_right, dtype=bool),
            np.array(right_mask, dtype=np.uint8),
            np.array(values, dtype=float),
        )
