"""How far off predictions of spend were where it can be known, by tenths of the prediction: intervals and confidence.

Split-conformal (Lei et al. 2018, JASA 113, section 2.2), within tenths of the prediction, on the ratio of spend to
prediction: the backtest's customers are the calibration set.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    Array = np.ndarray[Any, np.dtype[np.float64]]

TENTHS = 10
COVERAGE = 0.9
SHARE_OF_PREDICTION, SHARE_OF_MEAN = 0.5, 0.25
"""An error within half of the prediction, or a quarter of the mean spend, counts as small (confidence)."""
LEAST_PREDICTION = 0.01
"""Of money: below it a prediction counts as this much in ratios."""


@dataclass(frozen=True)
class Calibration:
    """What the backtest of the longest closed horizon says of each tenth of the predictions, smallest first.

    `edges`: for each horizon in days the nine predictions that part the tenths among today's customers. `low`, `high`:
    ratios of spend to prediction that hold `COVERAGE` of the customers. `confidence`: share with a small error.
    """

    horizon_days: int
    edges: dict[int, list[float]]
    low: list[float]
    high: list[float]
    confidence_by_tenth: list[float]

    @classmethod
    def of(cls, horizon_days: int, predicted: Array, actual: Array, today: Mapping[int, Array]) -> Calibration:
        """Learn from predictions and what was spent; `today` are today's predictions by horizon in days."""
        tenths = tenth(predicted, edges_of(predicted))
        allowed = np.maximum(SHARE_OF_PREDICTION * predicted, SHARE_OF_MEAN * max(actual.mean(), 0))
        is_small = np.abs(actual - predicted) <= allowed
        ratio = np.maximum(actual, 0) / np.maximum(predicted, LEAST_PREDICTION)
        # Ties can leave a tenth empty: it takes what holds for all.
        groups = [tenths == number if (tenths == number).any() else tenths >= 0 for number in range(TENTHS)]
        return cls(
            horizon_days,
            {days: edges_of(values).tolist() for days, values in today.items()},
            [conformal(ratio[group], (1 - COVERAGE) / 2) for group in groups],
            [conformal(ratio[group], (1 + COVERAGE) / 2) for group in groups],
            [float(is_small[group].mean()) for group in groups],
        )

    def interval(self, predicted: Array, days: int) -> tuple[Array, Array]:
        """Return the lower and the upper end for predictions over a horizon in days; the prediction lies within."""
        place = tenth(predicted, np.array(self.edges[days]))
        low = np.minimum(np.array(self.low)[place], 1) * predicted
        return low, np.maximum(np.array(self.high)[place], 1) * predicted

    def confidence(self, predicted: Array, days: int) -> Array:
        """Return the share of customers of the same tenth whose error was small."""
        return np.array(self.confidence_by_tenth)[tenth(predicted, np.array(self.edges[days]))]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "edges": [[days, edges] for days, edges in self.edges.items()]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Calibration:
        """Return what `to_dict` described."""
        return cls(**{**values, "edges": {int(days): list(edges) for days, edges in values["edges"]}})


def edges_of(predicted: Array) -> Array:
    """Return the nine values that part ten equal groups."""
    return np.quantile(predicted, np.arange(1, TENTHS) / TENTHS)


def tenth(predicted: Array, edges: Array) -> np.ndarray[Any, np.dtype[np.intp]]:
    """Return which tenth each prediction falls in, 0 (smallest) to 9; equal predictions share one."""
    return np.searchsorted(edges, predicted, side="left")


def conformal(values: Array, level: float) -> float:
    """Return the value of rank (n + 1) level, outwards to a whole one, within 1 to n: wide where values are few."""
    ranks = (len(values) + 1) * level
    rank = np.floor(ranks) if level < 1 / 2 else np.ceil(ranks)
    return float(np.sort(values)[int(np.clip(rank, 1, len(values))) - 1])
