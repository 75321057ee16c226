"""Scores of customers by a fitted model: nothing is learned here, nobody depends on who stands beside him."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from ml.features import numbers, own_columns, with_forecast
from ml.ltv import YEAR_DAYS, spend_over
from ml.training import THREADS, WORKERS

if TYPE_CHECKING:
    from ml.intervals import Calibration
    from ml.ltv import Outlook
    from ml.training import Model

    Array = np.ndarray[Any, Any]

YEARS = (1, 3, 5)
QUARTER_DAYS = 90
"""The near horizon of spend, with an interval of its own."""
HIGH_GROWTH, MEDIUM_GROWTH = 1.1, 0.9
"""Expected spend of the next 12 months over that of the last: from which growth is high, medium."""
MONEY_DIGITS, PROBABILITY_DIGITS = 2, 6
ROWS_AT_ONCE = 100_000
"""Customers scored in one go: bounds the memory."""
NUMBERS = (
    "current_ltv",
    *(
        f"expected_spend_{over}{end}"
        for over in ("90_days", "1year", "3year", "5year")
        for end in ("", "_low", "_high")
    ),
    *(f"predicted_ltv_{years}year" for years in YEARS),
    "expected_purchases_90_days",
    "purchase_probability_30_days",
    "purchase_probability_90_days",
    "churn_probability",
    "p_alive",
    "confidence_score",
)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of customers, unrounded, one entry each; `spend` by horizon in days."""

    spend: dict[int, Array]
    silence: dict[int, Array]
    outlook: Outlook


def predict(
    model: Model, features: pd.DataFrame, spend_days: tuple[int, ...], silence_days: tuple[int, ...]
) -> Prediction:
    """Return expected spend and P(no purchase) over horizons in days, which rise."""
    outlook, own = model.level.of(features), own_columns(features)
    silence, last = {}, np.ones(len(features))
    for days in silence_days:
        forecast = outlook.over(days)
        stack = model.stacks.get(days)
        found = 1 - forecast.any_purchase
        if stack:
            found = stack.silence(with_forecast(own, forecast), forecast.any_purchase)
        # Who is silent for longer is silent for less long, too.
        silence[days] = last = np.minimum(found, last)
    spend = {}
    for learned, group in _by_correction(model, spend_days):
        log_factor: Array | float = 0.0
        if learned:
            correction = model.correction(group[0])
            log_factor = correction.log_factor(with_forecast(own, outlook.over(learned)))
        found = spend_over(outlook, group, log_factor, learned, model.settings.discount_rate)
        spend |= dict(zip(group, found, strict=True))
    ends = sorted(spend)
    for before, after in pairwise(ends):
        spend[after] = np.maximum(spend[after], spend[before])
    return Prediction(spend, silence, outlook)


def _by_correction(model: Model, spend_days: tuple[int, ...]) -> list[tuple[int, list[int]]]:
    groups: dict[int, list[int]] = {}
    for days in sorted(spend_days):
        correction = model.correction(days)
        groups.setdefault(correction.horizon_days if correction else 0, []).append(days)
    return list(groups.items())


def score(model: Model, features: pd.DataFrame) -> pd.DataFrame:
    """Return one row per customer, sorted by tenant and customer.

    Args:
        model: fitted to the tenant.
        features: rows of customer_features of the tenant at one date, one a customer.

    Without a model every figure is missing and `no_prediction_reason` says why. Probabilities have 6 decimals, money 2.

    """
    rows = features.sort_values(["user_id", "customer_id"], ignore_index=True)
    pieces = [rows.iloc[start : start + ROWS_AT_ONCE] for start in range(0, max(len(rows), 1), ROWS_AT_ONCE)]
    with threadpool_limits(THREADS), ThreadPoolExecutor(WORKERS) as workers:
        return pd.concat(workers.map(lambda piece: _scored(model, piece), pieces), ignore_index=True)


def _scored(model: Model, rows: pd.DataFrame) -> pd.DataFrame:
    table = rows[["user_id", "customer_id", "as_of_date"]].reset_index(drop=True)
    table["is_cold_start"] = (rows["repeat_days"] == 0).to_numpy(dtype=bool)
    if model.reason or table.empty:
        return _without_prediction(table, model)
    horizon, near = model.settings.churn_horizon_days, model.settings.near_horizon_days
    silence_days = tuple(sorted({near, QUARTER_DAYS, horizon}))
    years = tuple(YEAR_DAYS * count for count in YEARS)
    found = predict(model, rows.reset_index(drop=True), (QUARTER_DAYS, *years), silence_days)
    table["current_ltv"] = np.maximum(numbers(rows, "total_spend"), 0).round(MONEY_DIGITS)
    calibration = model.calibration
    for count, days in zip(YEARS, years, strict=True):
        spend = found.spend[days]
        table[f"expected_spend_{count}year"] = spend.round(MONEY_DIGITS)
        table[f"predicted_ltv_{count}year"] = (table["current_ltv"] + table[f"expected_spend_{count}year"]).round(2)
        _add_interval(table, f"expected_spend_{count}year", calibration, spend, days)
    table["expected_purchases_90_days"] = found.outlook.over(QUARTER_DAYS).purchases.round(PROBABILITY_DIGITS)
    table["expected_spend_90_days"] = found.spend[QUARTER_DAYS].round(MONEY_DIGITS)
    _add_interval(table, "expected_spend_90_days", model.quarter_calibration, found.spend[QUARTER_DAYS], QUARTER_DAYS)
    table["purchase_probability_30_days"] = (1 - found.silence[near]).round(PROBABILITY_DIGITS)
    table["purchase_probability_90_days"] = (1 - found.silence[QUARTER_DAYS]).round(PROBABILITY_DIGITS)
    table["churn_probability"] = found.silence[horizon].round(PROBABILITY_DIGITS)
    table["expected_next_order_date"] = _next_order(table, near)
    table["p_alive"] = found.outlook.alive.round(PROBABILITY_DIGITS)
    confidence = calibration.confidence(found.spend[YEAR_DAYS], YEAR_DAYS) if calibration else np.nan
    table["confidence_score"] = np.round(confidence, PROBABILITY_DIGITS)
    table["growth_potential"] = _growth(model, rows, found.spend[YEAR_DAYS])
    _nest(table, ["expected_spend_90_days", *(f"expected_spend_{count}year" for count in YEARS)])
    validated = calibration.horizon_days if calibration else 0
    table["validated_horizon_days"] = validated
    table["is_extrapolated"] = validated < YEAR_DAYS
    table["no_prediction_reason"] = pd.Series([None] * len(table), dtype=object)
    return table


def _add_interval(table: pd.DataFrame, column: str, calibration: Calibration | None, spend: Array, days: int) -> None:
    low, high = calibration.interval(spend, days) if calibration else (np.nan, np.nan)
    table[f"{column}_low"], table[f"{column}_high"] = np.round(low, MONEY_DIGITS), np.round(high, MONEY_DIGITS)


def _nest(table: pd.DataFrame, columns: list[str]) -> None:
    """Widen intervals so that no end falls as the horizon grows: each was learned for itself."""
    lows, highs = ([f"{column}_{end}" for column in columns] for end in ("low", "high"))
    # From the longest horizon back, and from the shortest on; an end that is missing binds no other.
    table[lows[::-1]] = table[lows[::-1]].cummin(axis=1)
    table[highs] = table[highs].cummax(axis=1)


def _without_prediction(table: pd.DataFrame, model: Model) -> pd.DataFrame:
    for name in NUMBERS:
        table[name] = np.nan
    table["expected_next_order_date"] = pd.NaT
    table["growth_potential"] = pd.Series([None] * len(table), dtype=object)
    table["validated_horizon_days"] = 0
    table["is_extrapolated"] = False
    table["no_prediction_reason"] = pd.Series([model.reason] * len(table), dtype=object)
    return table


def _next_order(table: pd.DataFrame, near: int) -> pd.Series:
    """Return the date by which the next order has come with even chance; none where that is not within 90 days.

    Between the horizons the rate of orders is taken as constant.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        first = -np.log1p(-table["purchase_probability_30_days"].to_numpy())
        whole = -np.log1p(-table["purchase_probability_90_days"].to_numpy())
        even = np.log(2)
        late = near + (even - first) / (whole - first) * (90 - near)
        days = np.where(first >= even, near * even / first, np.where(whole >= even, late, np.nan))
    # Rounded up to whole days: tomorrow at the earliest.
    days = np.maximum(np.ceil(days.round(PROBABILITY_DIGITS)), 1)
    return pd.to_datetime(table["as_of_date"]) + pd.to_timedelta(days, unit="D")


def _growth(model: Model, rows: pd.DataFrame, next_year: Array) -> Array:
    """Return high, medium or low by the next twelve months over the last; none before the tenant has twelve.

    A calendar year, its first and last day included, is twelve months.
    """
    if model.history_days + 1 < YEAR_DAYS:
        return np.full(len(rows), None, dtype=object)
    base = np.maximum(numbers(rows, "spend_last_365_days"), max(model.median_order, 0.01))
    ratio = (next_year / base).round(PROBABILITY_DIGITS)
    return np.where(ratio >= HIGH_GROWTH, "high", np.where(ratio >= MEDIUM_GROWTH, "medium", "low")).astype(object)
