"""What customers will spend: purchase models give the level, boosted trees correct it.

Level: the mean of BG/NBD's and Pareto/NBD's expected purchases times the Gamma-Gamma's worth of one. It knows that a
base ages, which trees alone do not. Correction: trees under Poisson deviance with the level as offset (target y/level
weighted by level has the same gradients as y with offset log level), learned at origins before the date, where what
followed is known. Half of its logarithm is believed: the geometric mean of the level and the corrected level.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from ml import btyd
from ml.features import numbers
from ml.trees import Trees

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    Array = np.ndarray[Any, np.dtype[np.float64]]

SHRINKAGE = 0.5
"""Share of the correction's logarithm that is believed."""
MOST_FACTOR = 5.0
"""Bound of the correction, and its inverse: a factor beyond it is noise of few customers."""
LEAST_LEVEL = 1e-3
"""Of the mean level: below it a customer's level counts as this much while the correction is learned."""
YEAR_DAYS = 365
TREES = {
    "learning_rate": 0.05,
    "max_iter": 100,
    "max_leaf_nodes": 8,
    "min_samples_leaf": 50,
    "l2_regularization": 1.0,
    # Stopping early would set rows aside by their order.
    "early_stopping": False,
    "random_state": 0,
}
"""How the correction's trees are grown."""


@dataclass(frozen=True, eq=False)
class Forecast:
    """What the purchase models say of customers, one entry each, over some days; money in the tenant's currency."""

    purchases_bg: Array
    purchases_pareto: Array
    any_bg: Array
    any_pareto: Array
    spend_per_purchase: Array
    population_spend: float

    @property
    def purchases(self) -> Array:
        """Return the expected days with a purchase."""
        return (self.purchases_bg + self.purchases_pareto) / 2

    @property
    def any_purchase(self) -> Array:
        """Return the probability of at least one purchase."""
        return (self.any_bg + self.any_pareto) / 2

    @property
    def spend(self) -> Array:
        """Return the expected spend: the level."""
        return self.purchases * self.spend_per_purchase


@dataclass(frozen=True)
class Level:
    """The three purchase models of a tenant at a date."""

    bg: btyd.BgNbd | btyd.Nbd
    pareto: btyd.ParetoNbd | btyd.Nbd
    spend: btyd.GammaGamma

    @classmethod
    def fit(cls, features: pd.DataFrame) -> Level:
        """Fit to rows of customer_features of one tenant and date."""
        histories = _histories(features, btyd.FITTED_DAYS)
        spend = btyd.fit_gamma_gamma(numbers(features, "purchase_days"), numbers(features, "mean_spend_per_day"))
        return cls(btyd.fit_bg_nbd(histories), btyd.fit_pareto_nbd(histories), spend)

    @property
    def warnings(self) -> list[str]:
        """Return what the fits warn of."""
        return [model.fit.warning for model in (self.bg, self.pareto, self.spend) if model.fit.warning]

    def of(self, features: pd.DataFrame) -> Outlook:
        """Return what the models say of customers."""
        return Outlook(self, features)


class Outlook:
    """What a level says of some customers: horizons are computed once."""

    def __init__(self, level: Level, features: pd.DataFrame) -> None:
        """Take rows of customer_features, one a customer."""
        self._models = (level.bg, level.pareto)
        self._population_spend = max(level.spend.population_mean, 1e-9)
        self._histories = _histories(features, 1)
        worth = level.spend.expected_spend(numbers(features, "purchase_days"), numbers(features, "mean_spend_per_day"))
        self._worth = np.nan_to_num(worth)
        self._known: dict[int, Forecast] = {}

    @cached_property
    def _alive(self) -> list[Array]:
        """Return what both models say of life, one entry per history: the dearest part of every horizon."""
        return [model.probability_alive(self._histories) for model in self._models]

    @cached_property
    def alive(self) -> Array:
        """Return the probability of not having dropped out: a diagnostic."""
        return (sum(self._alive) / 2)[self._histories.place]

    def over(self, days: int) -> Forecast:
        """Return the forecast of the days after the date."""
        if days not in self._known:
            weeks, place = days / btyd.DAYS_IN_WEEK, self._histories.place
            any_purchase = (
                (alive * model.any_purchase_if_alive(self._histories, weeks))[place]
                for alive, model in zip(self._alive, self._models, strict=True)
            )
            purchases = (figure[place] for figure in self._purchases(days))
            self._known[days] = Forecast(*purchases, *any_purchase, self._worth, self._population_spend)
        return self._known[days]

    def spend(self, days: int) -> Array:
        """Return the expected spend over the days after the date."""
        if days in self._known:
            return self._known[days].spend
        return (sum(self._purchases(days)) / 2)[self._histories.place] * self._worth

    def _purchases(self, days: int) -> list[Array]:
        """Return the expected purchases of both models, one entry per history."""
        weeks = days / btyd.DAYS_IN_WEEK
        return [
            alive * model.purchases_if_alive(self._histories, weeks)
            for alive, model in zip(self._alive, self._models, strict=True)
        ]


def _histories(features: pd.DataFrame, rounded_to_days: int) -> btyd.Histories:
    columns = (features[name].to_numpy() for name in ("repeat_days", "recency_age_days", "age_days"))
    return btyd.Histories.from_days(*columns, rounded_to_days=rounded_to_days)


@dataclass(frozen=True, eq=False)
class Correction:
    """A factor on the level, learned of what was spent within `horizon_days`."""

    trees: Trees
    horizon_days: int

    @classmethod
    def fit(cls, rows: Array, level: Array, spend: Array, horizon_days: int) -> Correction:
        """Learn from rows (ml.features.matrix), the level, and what was spent; spend below zero counts as zero."""
        offset = np.maximum(level, LEAST_LEVEL * level.mean())
        model = HistGradientBoostingRegressor(loss="poisson", **TREES)
        trees = Trees.grow(model, rows, np.maximum(spend, 0) / offset, weight=offset / offset.mean())
        return cls(trees, horizon_days)

    def log_factor(self, rows: Array) -> Array:
        """Return the logarithm of the shrunken factor."""
        return SHRINKAGE * np.clip(self.trees.raw(rows), -np.log(MOST_FACTOR), np.log(MOST_FACTOR))


def spend_over(
    outlook: Outlook, days: Sequence[int], log_factor: Array | float, learned_days: int, discount_rate: float
) -> list[Array]:
    """Return the expected spend over each of the `days`, which rise.

    The purchase models carry the horizon. Within `learned_days` the correction holds in full; of the spend of a later
    stretch that ends after t days, its logarithm holds by learned_days / t. Each stretch (a year at most) is worth less
    by (1 + discount_rate) ^ (years to its middle).
    """
    ends = sorted(
        {*days, *([learned_days] if 0 < learned_days < days[-1] else []), *range(YEAR_DAYS, days[-1], YEAR_DAYS)}
    )
    before, start, total, totals = 0.0, 0, 0.0, {}
    for end in ends:
        so_far = outlook.spend(end)
        believed = min(1.0, learned_days / end)
        worth = (1 + discount_rate) ** (-(start + end) / 2 / YEAR_DAYS)
        total = total + np.maximum(so_far - before, 0) * np.exp(believed * log_factor) * worth
        totals[end] = total
        before, start = so_far, end
    return [totals[end] for end in days]
