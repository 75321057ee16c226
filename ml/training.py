"""Learning of one tenant at one date: what is fitted, from which origins, and when there is too little to learn from.

`fit` takes rows of customer_features and customer_outcomes, in any order, and returns a `Model` that is numbers
and settings only. Nothing after the date is used: an outcome counts where its window closed by then.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from ml import btyd
from ml.churn import Logistic, Stack
from ml.features import matrix, numbers
from ml.intervals import Calibration
from ml.ltv import Correction, Level
from ml.trees import Trees

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ml.ltv import Outlook

    Array = np.ndarray[Any, Any]

Learned = TypeVar("Learned")

LEAST_CUSTOMERS = 100
LEAST_REPEATERS = 30
LEAST_HISTORY_DAYS = 60
LEAST_STACKED = 500
"""Customers from which churn is learned beyond the purchase models."""
LEAST_CORRECTED = 1_000
LEAST_BUYERS = 200
"""Customers, and rows of origins with a purchase after them, from which the level is corrected."""
MOST_ROWS = 200_000
"""Customers times origins that are learned from; of more, the first by hash of the key are taken at each origin."""
WORKERS = 2
"""Levels, horizons, and pieces of a scoring that are worked on at the same time."""
THREADS = 1
"""Several threads add gradients up in an order of their own: another machine would give other last digits."""


@dataclass(frozen=True)
class Settings:
    """What a tenant may set. Days, and a rate per year."""

    churn_horizon_days: int = 90
    near_horizon_days: int = 30
    discount_rate: float = 0.0


@dataclass(frozen=True, eq=False)
class Model:
    """What was learned of one tenant at one date. `reason` says why there is no model; then `level` is None.

    `calibration` makes the intervals of years, `quarter_calibration` those of 90 days.
    """

    as_of_date: str
    settings: Settings
    reason: str | None = None
    warnings: tuple[str, ...] = ()
    history_days: int = 0
    median_order: float = 0.0
    level: Level | None = None
    corrections: tuple[Correction, ...] = ()
    stacks: dict[int, Stack] = field(default_factory=dict)
    calibration: Calibration | None = None
    quarter_calibration: Calibration | None = None

    def correction(self, days: int) -> Correction | None:
        """Return the correction for a horizon: the longest that was learned within it, else the shortest."""
        within = [correction for correction in self.corrections if correction.horizon_days <= days]
        return within[-1] if within else next(iter(self.corrections), None)

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return the model as values for JSON and as arrays of numbers."""
        level = self.level and {name: btyd.to_dict(getattr(self.level, name)) for name in ("bg", "pareto", "spend")}
        values = {
            "as_of_date": self.as_of_date,
            "settings": asdict(self.settings),
            "reason": self.reason,
            "warnings": list(self.warnings),
            "history_days": self.history_days,
            "median_order": self.median_order,
            "level": level,
            "corrections": [correction.horizon_days for correction in self.corrections],
            "stacks": sorted(self.stacks),
            "calibration": self.calibration and self.calibration.to_dict(),
            "quarter_calibration": self.quarter_calibration and self.quarter_calibration.to_dict(),
        }
        arrays = {}
        for correction in self.corrections:
            arrays |= _prefixed(f"correction_{correction.horizon_days}", correction.trees.to_arrays())
        for days, stack in self.stacks.items():
            arrays |= _prefixed(f"trees_{days}", stack.trees.to_arrays())
            arrays |= _prefixed(f"logistic_{days}", stack.logistic.to_arrays())
        return values, arrays

    @classmethod
    def from_state(cls, values: dict[str, Any], arrays: dict[str, Array]) -> Model:
        """Return the model that `state` described; raise KeyError, TypeError or ValueError where it describes none."""
        level = values["level"]
        return cls(
            values["as_of_date"],
            Settings(**values["settings"]),
            values["reason"],
            tuple(values["warnings"]),
            values["history_days"],
            values["median_order"],
            level and Level(*(btyd.from_dict(level[name]) for name in ("bg", "pareto", "spend"))),
            tuple(
                Correction(Trees.from_arrays(_under(f"correction_{days}", arrays)), days)
                for days in values["corrections"]
            ),
            {
                days: Stack(
                    Logistic(**_under(f"logistic_{days}", arrays)), Trees.from_arrays(_under(f"trees_{days}", arrays))
                )
                for days in values["stacks"]
            },
            *(values[name] and Calibration.from_dict(values[name]) for name in ("calibration", "quarter_calibration")),
        )


def _prefixed(prefix: str, arrays: dict[str, Array]) -> dict[str, Array]:
    return {f"{prefix}.{name}": array for name, array in arrays.items()}


def _under(prefix: str, arrays: dict[str, Array]) -> dict[str, Array]:
    return {name.removeprefix(f"{prefix}."): array for name, array in arrays.items() if name.startswith(f"{prefix}.")}


class Past:
    """The rows of one tenant by date and window, sorted by key, and the levels that were fitted to them."""

    def __init__(self, features: pd.DataFrame, outcomes: pd.DataFrame) -> None:
        """Take rows of customer_features and customer_outcomes of one tenant."""
        self._features = _by_date(features)
        dates = pd.to_datetime(outcomes["as_of_date"])
        self._outcomes = {
            (date, int(days)): rows.set_index("customer_id").sort_index()
            for (date, days), rows in outcomes.groupby([dates, "horizon_days"], sort=True)
        }
        self._levels: dict[pd.Timestamp, tuple[Level, Outlook]] = {}
        first = pd.to_datetime(features["first_purchase_date"])
        self.first_purchase_date = first.min() if len(first) else pd.NaT

    def features(self, date: pd.Timestamp) -> pd.DataFrame:
        """Return the rows of a date, sorted by key; none where there are none."""
        return self._features.get(date, pd.DataFrame({"customer_id": []}))

    def outcomes(self, date: pd.Timestamp, days: int) -> pd.DataFrame | None:
        """Return what followed within days, in the order of `features(date)`; None where the window is not known."""
        rows = self._outcomes.get((date, days))
        return None if rows is None else rows.reindex(self.features(date)["customer_id"])

    def level(self, date: pd.Timestamp) -> tuple[Level, Outlook]:
        """Return the level at a date, fitted to that date's rows, and its outlook on them."""
        if date not in self._levels:
            rows = self.features(date)
            level = Level.fit(rows)
            self._levels[date] = level, level.of(rows)
        return self._levels[date]

    def fit_levels(self, dates: Iterable[pd.Timestamp]) -> None:
        """Fit the levels at several dates, two at a time: each by itself, so that threads change nothing."""
        # The largest first, so that no worker is left alone with it.
        missing = sorted(set(dates) - self._levels.keys(), key=lambda date: (-len(self.features(date)), date))
        with ThreadPoolExecutor(WORKERS) as workers:
            list(workers.map(self.level, missing))

    def windows(self) -> list[tuple[pd.Timestamp, int]]:
        """Return the dates and lengths of the windows whose outcome is known."""
        return list(self._outcomes)

    def history_days(self, date: pd.Timestamp) -> int:
        """Return the days from the tenant's first purchase to a date."""
        return -1 if pd.isna(self.first_purchase_date) else (date - self.first_purchase_date).days

    def origins(self, date: pd.Timestamp, days: int) -> list[pd.Timestamp]:
        """Return the dates, latest first, whose window of `days` closed by `date`, with enough history before them."""
        return sorted(
            (
                origin
                for origin, horizon in self._outcomes
                if horizon == days
                and origin + pd.Timedelta(days=days) <= date
                and self.history_days(origin) >= LEAST_HISTORY_DAYS
                and origin in self._features
            ),
            reverse=True,
        )

    def learnable(self, date: pd.Timestamp, most_days: int) -> int | None:
        """Return the longest horizon within `most_days` that can be learned at a date; None where there is none.

        Its latest origin has as much history before it as the window is long: what follows 180 days cannot be learned
        of customers who are known for 60. Where that holds for none, the shortest horizon with an origin.
        """
        known = sorted({days for _, days in self._outcomes if days <= most_days and self.origins(date, days)})
        deep = [days for days in known if self.history_days(self.origins(date, days)[0]) >= days]
        return deep[-1] if deep else next(iter(known), None)


def _by_date(features: pd.DataFrame) -> dict[pd.Timestamp, pd.DataFrame]:
    dates = pd.to_datetime(features["as_of_date"])
    return {
        date: rows.sort_values("customer_id", ignore_index=True) for date, rows in features.groupby(dates, sort=True)
    }


# For all of it: BLAS has one limit for all threads, which a worker must not lift while another is at work.
@threadpool_limits.wrap(limits=THREADS)
def fit(
    past: Past,
    date: pd.Timestamp,
    settings: Settings,
    spend_horizons: Iterable[int] = (365,),
    *,
    with_silence: bool = True,
) -> Model:
    """Return the model of one tenant at a date, without intervals: those come of its backtest.

    Args:
        past: rows of the date of all customers, and of earlier ones of those learned from; later ones are left alone.
        date: tenant-local date at whose end the model stands.
        settings: the tenant's.
        spend_horizons: days over which spend is corrected, besides the churn horizon.
        with_silence: whether churn is learned beyond the purchase models.

    Too little to learn from is no error: `reason` says so.

    """
    rows = past.features(date)
    empty = Model(str(date.date()), settings, history_days=past.history_days(date))
    if reason := reason_against(rows, empty.history_days):
        return replace(empty, reason=reason, warnings=(f"no model: {reason}",))
    spend_days, silence_days = set(), set()
    if len(rows) >= LEAST_CORRECTED:
        spend_days = {past.learnable(date, days) for days in (*spend_horizons, settings.churn_horizon_days)} - {None}
    if with_silence and len(rows) >= LEAST_STACKED:
        silence_days = {settings.near_horizon_days, settings.churn_horizon_days}
    learned_days = spend_days | {past.learnable(date, days) or days for days in silence_days}
    past.fit_levels({date, *(origin for days in learned_days for origin in past.origins(date, days))})
    level, _ = past.level(date)
    corrections, stacks = _learned(past, date, spend_days, silence_days)
    orders = numbers(rows, "total_spend") / numbers(rows, "order_count")
    return replace(
        empty,
        warnings=tuple(level.warnings),
        median_order=float(np.nanmedian(orders)),
        level=level,
        corrections=corrections,
        stacks=stacks,
    )


def reason_against(rows: pd.DataFrame, history_days: int) -> str | None:
    """Return why there is too little to learn from, None where there is enough.

    Args:
        rows: customer_features at the date, one a customer.
        history_days: days from the tenant's first purchase to the date.

    """
    if len(rows) < LEAST_CUSTOMERS:
        return f"fewer than {LEAST_CUSTOMERS} customers with a purchase"
    if int((rows["repeat_days"] > 0).sum()) < LEAST_REPEATERS:
        return f"fewer than {LEAST_REPEATERS} customers with a repeat purchase"
    if history_days < LEAST_HISTORY_DAYS:
        return f"fewer than {LEAST_HISTORY_DAYS} days of history"
    return None


def _learned(
    past: Past, date: pd.Timestamp, spend_days: Iterable[int], silence_days: Iterable[int]
) -> tuple[tuple[Correction, ...], dict[int, Stack]]:
    """Return corrections and stacks of the horizons that can be learned, shortest first.

    Two are learned at a time: each by itself, so that threads change nothing.
    """

    def one(learn: Callable[[Past, pd.Timestamp, int], Learned], days: int) -> Learned:
        # OpenMP has a limit for each thread.
        with threadpool_limits(THREADS):
            return learn(past, date, days)

    with ThreadPoolExecutor(WORKERS) as workers:
        # The dearest first, so that no worker is left alone with one.
        stacks = {days: workers.submit(one, _stack, days) for days in sorted(silence_days)}
        corrections = [workers.submit(one, _correction, days) for days in sorted(spend_days)]
    return (
        tuple(model for learned in corrections if (model := learned.result())),
        {days: model for days, learned in stacks.items() if (model := learned.result())},
    )


@dataclass(frozen=True, eq=False)
class _Lessons:
    """Rows of all origins below each other: what was known, the level, and what followed."""

    rows: Array
    level: Array
    spend: Array
    is_silent: Array


def _lessons(past: Past, date: pd.Timestamp, days: int) -> _Lessons | None:
    origins = past.origins(date, days)
    if not origins:
        return None
    most = max(1, MOST_ROWS // len(origins))
    parts = []
    for origin in origins:
        features, (_, outlook), outcomes = past.features(origin), past.level(origin), past.outcomes(origin, days)
        forecast = outlook.over(days)
        spend = numbers(outcomes, "spend")
        # Sample ranks are those of the whole history: at an origin the first of them are not the first numbers.
        rank = numbers(features, "sample_rank").argsort(kind="stable").argsort(kind="stable")
        is_used = (rank < most) & ~np.isnan(spend)
        is_silent = numbers(outcomes, "purchase_days") == 0
        found = (matrix(features, forecast), forecast.spend, spend, is_silent)
        parts.append([part[is_used] for part in found])
    return _Lessons(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _correction(past: Past, date: pd.Timestamp, days: int) -> Correction | None:
    lessons = _lessons(past, date, days)
    if lessons is None or int((~lessons.is_silent).sum()) < LEAST_BUYERS or not (lessons.spend > 0).any():
        return None
    return Correction.fit(lessons.rows, lessons.level, lessons.spend, days)


def _stack(past: Past, date: pd.Timestamp, days: int) -> Stack | None:
    learned = past.learnable(date, days)
    lessons = None if learned is None else _lessons(past, date, learned)
    if lessons is None or lessons.is_silent.all() or not lessons.is_silent.any():
        return None
    return Stack.fit(lessons.rows, lessons.is_silent)
