"""From rows of customer_features to what models learn from: numbers that mean the same in every shop and at every age.

Money is divided by the customer's own mean, times by his own gaps or by his age, counts are shares or logarithms.
A number that is not there (a gap, for one purchase) stays missing; the models know what to do with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from ml.ltv import Forecast

    Array = np.ndarray[Any, np.dtype[np.float64]]

NAMES = (
    "log_purchases_bg",
    "log_purchases_pareto",
    "logit_any_bg",
    "logit_any_pareto",
    "log_repeats",
    "recency_share",
    "silence_share",
    "is_one_time",
    "silence_over_mean_gap",
    "silence_over_max_gap",
    "silence_over_last_gap",
    "gap_variation",
    "last_over_mean_gap",
    "share_of_orders_last_30_days",
    "share_of_orders_last_90_days",
    "share_of_orders_last_180_days",
    "log_orders_last_30_days",
    "log_orders_last_90_days",
    "orders_per_purchase_day",
    "mean_over_population_spend",
    "spend_variation",
    "last_over_mean_spend",
    "first_over_mean_spend",
    "max_over_mean_spend",
    "share_of_spend_last_30_days",
    "share_of_spend_last_90_days",
    "share_of_spend_last_180_days",
    "log_sessions_last_30_days",
    "log_sessions_last_90_days",
    "log_engagements_last_30_days",
    "log_engagements_last_90_days",
    "log_opens_and_clicks_last_30_days",
    "log_opens_and_clicks_last_90_days",
    "log_tickets",
    "category_entropy",
    "discount_share",
    "refund_share",
)
_MEAN_SPEND = NAMES.index("mean_over_population_spend")
LEAST_PURCHASES = 1e-6
"""Expected purchases below it count as this many, so that there is a logarithm."""


def numbers(features: pd.DataFrame, column: str) -> Array:
    """Return a column as float64, decimals included; what is missing or not finite is NaN."""
    values = features[column].astype(float).to_numpy(dtype="float64", na_value=np.nan)
    return np.where(np.isfinite(values), values, np.nan)


def logit(probability: Array) -> Array:
    """Return log odds of a probability, which is kept a millionth away from 0 and 1."""
    kept = np.clip(probability, 1e-6, 1 - 1e-6)
    return np.log(kept) - np.log1p(-kept)


def matrix(features: pd.DataFrame, forecast: Forecast) -> Array:
    """Return one row per customer and one column per name of NAMES; missing values are NaN.

    Args:
        features: rows of customer_features.
        forecast: what the purchase models say of the same customers, over the horizon that is to be learned.

    """
    return with_forecast(own_columns(features), forecast)


def with_forecast(own: Array, forecast: Forecast) -> Array:
    """Return the rows of `matrix` from the columns that hang on no horizon."""
    forecasts = (
        np.log(forecast.purchases_bg + LEAST_PURCHASES),
        np.log(forecast.purchases_pareto + LEAST_PURCHASES),
        logit(forecast.any_bg),
        logit(forecast.any_pareto),
    )
    # Column by column in memory, as trees read it.
    rows = np.vstack([*forecasts, own.T]).T
    rows[:, _MEAN_SPEND] -= np.log(forecast.population_spend)
    rows[~np.isfinite(rows)] = np.nan
    return rows


def own_columns(features: pd.DataFrame) -> Array:
    """Return the columns of NAMES that hang on no horizon; the mean spend is not yet over the population's."""
    of = {name: numbers(features, name) for name in features.columns if name in READ}
    mean_spend = np.where(of["mean_spend_per_day"] > 0, of["mean_spend_per_day"], np.nan)
    silence, age = of["days_since_last_purchase"], np.maximum(of["age_days"], 1)
    gap = of["mean_gap_days"]
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = (
            np.log1p(of["repeat_days"]),
            of["recency_age_days"] / age,
            silence / age,
            (of["repeat_days"] == 0).astype(float),
            np.log1p(of["recency_over_mean_gap"]),
            np.log1p(silence / of["max_gap_days"]),
            np.log1p(silence / of["last_gap_days"]),
            of["sd_gap_days"] / gap,
            np.log1p(of["last_gap_days"] / gap),
            of["share_of_orders_last_30_days"],
            of["share_of_orders_last_90_days"],
            of["share_of_orders_last_180_days"],
            np.log1p(of["share_of_orders_last_30_days"] * of["order_count"]),
            np.log1p(of["share_of_orders_last_90_days"] * of["order_count"]),
            of["order_count"] / of["purchase_days"],
            np.log(mean_spend),
            of["spend_variation"],
            np.log1p(of["last_spend"] / mean_spend),
            np.log1p(of["first_spend"] / mean_spend),
            np.log1p(of["max_spend"] / mean_spend),
            of["share_of_spend_last_30_days"],
            of["share_of_spend_last_90_days"],
            of["share_of_spend_last_180_days"],
            np.log1p(of["session_count_last_30_days"]),
            np.log1p(of["session_count_last_90_days"]),
            np.log1p(of["engagement_event_count_last_30_days"]),
            np.log1p(of["engagement_event_count_last_90_days"]),
            np.log1p(of["open_and_click_count_last_30_days"]),
            np.log1p(of["open_and_click_count_last_90_days"]),
            np.log1p(of["ticket_count"]),
            of["category_entropy"],
            of["discount_share"],
            of["refund_share"],
        )
    return np.array(columns).T


READ = frozenset(
    {
        "purchase_days",
        "repeat_days",
        "recency_age_days",
        "age_days",
        "days_since_last_purchase",
        "order_count",
        "ticket_count",
        "mean_spend_per_day",
        "first_spend",
        "last_spend",
        "max_spend",
        "spend_variation",
        "mean_gap_days",
        "sd_gap_days",
        "last_gap_days",
        "max_gap_days",
        "recency_over_mean_gap",
        "share_of_orders_last_30_days",
        "share_of_orders_last_90_days",
        "share_of_orders_last_180_days",
        "share_of_spend_last_30_days",
        "share_of_spend_last_90_days",
        "share_of_spend_last_180_days",
        "session_count_last_30_days",
        "session_count_last_90_days",
        "engagement_event_count_last_30_days",
        "engagement_event_count_last_90_days",
        "open_and_click_count_last_30_days",
        "open_and_click_count_last_90_days",
        "category_entropy",
        "discount_share",
        "refund_share",
    }
)
