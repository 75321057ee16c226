"""Rolling origins: a model fitted at an earlier date, from what was known then, against what followed.

Every fitted model has one; its errors make the intervals and the confidence of the model that is shipped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from ml import evaluation
from ml.features import numbers
from ml.intervals import Calibration
from ml.ltv import YEAR_DAYS
from ml.scoring import QUARTER_DAYS, YEARS, predict
from ml.training import THREADS, Past, Settings, fit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from ml.training import Model

    Array = np.ndarray[Any, np.dtype[np.float64]]

WINDOWS = (30, 90, 180)
"""Days over which customer_features says what share of spend is recent."""
MOST_FOR_EDGES = 50_000
"""Customers, the first by sample_rank, whose predictions part today's tenths."""
MOST_TRIALS = 3
"""Origins at which the churn horizon is tried, latest first; their windows do not overlap."""
METRICS = [
    "user_id",
    "model",
    "candidate",
    "origin_date",
    "horizon_days",
    "purchase_group",
    "metric",
    "value",
    "n",
]
DECILES = [
    "user_id",
    "model",
    "origin_date",
    "horizon_days",
    "decile",
    "n",
    "predicted_mean",
    "actual_mean",
]


@dataclass(frozen=True, eq=False)
class Trial:
    """What was predicted at an origin for a horizon and what followed, one entry per customer sorted by key.

    `silence`, `is_silent`: no purchase in the horizon; `btyd_`: the purchase models alone; `interval`: ends for
    the spend, made of what was known at the origin, None where that was too little.
    """

    origin: pd.Timestamp
    horizon_days: int
    features: pd.DataFrame
    spend: Array
    btyd_spend: Array
    actual_spend: Array
    silence: Array
    btyd_silence: Array
    is_silent: Array
    interval: tuple[Array, Array] | None = None


def trial(  # noqa: PLR0913
    past: Past,
    origin: pd.Timestamp,
    days: int,
    settings: Settings,
    *,
    with_silence: bool = True,
    with_interval: bool = False,
) -> Trial | None:
    """Return what a model fitted at the origin says of the days after it; None where there is no model or no window.

    Undiscounted, whatever the settings say: what followed is not, either. Without `with_silence` the purchase models
    alone speak of silence.
    """
    features, outcomes = past.features(origin), past.outcomes(origin, days)
    if outcomes is None:
        return None
    own = replace(settings, churn_horizon_days=days, near_horizon_days=days, discount_rate=0.0)
    fitted = fit(past, origin, own, (days,), with_silence=with_silence)
    if fitted.reason:
        return None
    found = predict(fitted, features, (days,), (days,))
    forecast = found.outlook.over(days)
    calibration = calibrated(past, fitted, (days,)) if with_interval else None
    return Trial(
        origin,
        days,
        features,
        found.spend[days],
        forecast.spend,
        numbers(outcomes, "spend"),
        found.silence[days],
        1 - forecast.any_purchase,
        numbers(outcomes, "purchase_days") == 0,
        calibration and calibration.interval(found.spend[days], days),
    )


def with_intervals(past: Past, model: Model, known: Sequence[Trial] = ()) -> Model:
    """Return a model with intervals and confidence of 90 days and of the years ahead, if it was fitted at all.

    `known`: trials that were made already, by the same settings.
    """
    if model.reason:
        return model
    return replace(
        model,
        calibration=calibrated(past, model, tuple(YEAR_DAYS * count for count in YEARS), known),
        quarter_calibration=calibrated(past, model, (QUARTER_DAYS,), known),
    )


def calibrated(past: Past, model: Model, days_ahead: Sequence[int], known: Sequence[Trial] = ()) -> Calibration | None:
    """Return intervals and confidence from the trial of the longest closed horizon that is not longer than needed.

    None where none could be made.
    """
    now, longest = pd.Timestamp(model.as_of_date), min(YEAR_DAYS, max(days_ahead))
    closed = {days for _, days in past.windows() if days <= longest and past.origins(now, days)}
    for days in sorted(closed, reverse=True):
        origin = past.origins(now, days)[0]
        made = (one for one in known if (one.origin, one.horizon_days) == (origin, days))
        found = next(made, None) or trial(past, origin, days, model.settings, with_silence=False)
        if found:
            rows = past.features(now)
            some = rows[numbers(rows, "sample_rank") <= MOST_FOR_EDGES]
            today = predict(model, some if len(some) else rows, tuple(days_ahead), ()).spend
            # A model that was left without its correction has the errors of the purchase models.
            spend = found.spend if model.corrections else found.btyd_spend
            return Calibration.of(days, spend, found.actual_spend, today)
    return None


def measured(found: Sequence[Trial]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return metrics and deciles of trials; empty frames where there is none."""
    metrics = [part for one in found for part in _metrics(one)]
    deciles = [part for one in found for part in _deciles(one)]
    return (
        pd.concat(metrics, ignore_index=True)[METRICS] if metrics else pd.DataFrame(columns=METRICS),
        pd.concat(deciles, ignore_index=True)[DECILES] if deciles else pd.DataFrame(columns=DECILES),
    )


def backtest(past: Past, as_of_date: date, settings: Settings) -> list[Trial]:
    """Return what history allows: the churn horizon at origins apart, and the last origin of each longer horizon.

    Args:
        past: what is known of one tenant.
        as_of_date: date by which windows count as closed.
        settings: the tenant's.

    """
    now = pd.Timestamp(as_of_date)
    horizon = settings.churn_horizon_days
    wanted: list[tuple[pd.Timestamp, int]] = []
    for origin in past.origins(now, horizon):
        if not wanted or wanted[-1][0] - origin >= pd.Timedelta(days=horizon):
            wanted.append((origin, horizon))
    wanted = wanted[:MOST_TRIALS]
    longer = sorted({days for _, days in past.windows() if horizon < days <= YEAR_DAYS})
    wanted += [(origins[0], days) for days in longer if (origins := past.origins(now, days))]
    with threadpool_limits(THREADS):
        found = [trial(past, origin, days, settings, with_interval=True) for origin, days in wanted]
    return [one for one in found if one]


def carried_forward(features: pd.DataFrame, days: int) -> Array:
    """Return the spend of the last days, repeated; at other lengths than the features know, the share of all days."""
    total = np.maximum(numbers(features, "total_spend"), 0)
    if days in WINDOWS:
        return np.nan_to_num(numbers(features, f"share_of_spend_last_{days}_days")) * total
    if days == YEAR_DAYS:
        return np.maximum(numbers(features, "spend_last_365_days"), 0)
    return total * np.minimum(1, days / np.maximum(numbers(features, "age_days"), 1))


def recency_silence(features: pd.DataFrame, days: int) -> Array:
    """Return silence / (silence + days): an order by recency, on the scale of a probability."""
    silence = numbers(features, "days_since_last_purchase")
    return silence / (silence + days)


def verdict(metrics: pd.DataFrame, horizon_days: int) -> dict[str, str | None]:
    """Return for 'ltv' and 'churn' why the shipped model must not be promoted; None where nothing speaks against it.

    It must not be worse than the purchase models alone, by RMSE and by log loss, on the last closed window.
    """
    reasons: dict[str, str | None] = {}
    for model, metric in (("ltv", "rmse"), ("churn", "log_loss")):
        rows = metrics[
            (metrics["model"] == model)
            & (metrics["metric"] == metric)
            & (metrics["purchase_group"] == evaluation.ALL)
            & (metrics["horizon_days"] == horizon_days)
        ]
        last = rows[rows["origin_date"] == rows["origin_date"].max()].set_index("candidate")["value"]
        reasons[model] = None
        if {"shipped", "btyd"} <= set(last.index) and last["shipped"] > last["btyd"]:
            ours, theirs = f"{last['shipped']:.4g}", f"{last['btyd']:.4g}"
            reasons[model] = f"{metric} {ours} is worse than {theirs} of the purchase models alone"
    return reasons


def _metrics(one: Trial) -> list[pd.DataFrame]:
    days = numbers(one.features, "purchase_days")
    spends = {
        "shipped": one.spend,
        "btyd": one.btyd_spend,
        "carry_forward": carried_forward(one.features, one.horizon_days),
    }
    silences = {
        "shipped": one.silence,
        "btyd": one.btyd_silence,
        "recency": recency_silence(one.features, one.horizon_days),
    }
    ltv = [
        evaluation.value_metrics(
            one.actual_spend, spend, days, one.interval if candidate == "shipped" else None
        ).assign(model="ltv", candidate=candidate)
        for candidate, spend in spends.items()
    ]
    churn = [
        evaluation.probability_metrics(one.is_silent, silence, days).assign(model="churn", candidate=candidate)
        for candidate, silence in silences.items()
    ]
    return [_stamped(part, one) for part in (*ltv, *churn)]


def _deciles(one: Trial) -> list[pd.DataFrame]:
    return [
        _stamped(evaluation.deciles(one.actual_spend, one.spend).assign(model="ltv"), one),
        _stamped(evaluation.deciles(one.is_silent, one.silence).assign(model="churn"), one),
    ]


def _stamped(table: pd.DataFrame, one: Trial) -> pd.DataFrame:
    return table.assign(
        user_id=one.features["user_id"].iloc[0], origin_date=one.origin.date(), horizon_days=one.horizon_days
    )
