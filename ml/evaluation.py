"""How good predictions were: metrics of values and of probabilities, by decile and by purchases, with intervals.

All functions are pure and take one entry per customer. What cannot be told (no customers, one class only, nothing but
zeros) is NaN, and null in the frames; it is never 0. Nothing depends on the order of customers but the bootstrap and
ties at the border of two deciles: hand customers over in the order of their key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

    Array = np.ndarray[Any, np.dtype[np.float64]]

NAN = float("nan")
ALL = "all"
PURCHASE_GROUPS = {"1": (1, 1), "2": (2, 2), "3-5": (3, 5), "6+": (6, np.inf)}
"""Groups of customers by their days with a purchase, and the least and most days of each."""
DECILES = 10
CALIBRATION_BINS = 10
THRESHOLD = 0.5
"""Probability from which an event counts as predicted, for accuracy."""
LEAST_PROBABILITY = float(np.finfo(np.float64).eps)
"""Probabilities are kept so far from 0 and 1 in the log loss: as scikit-learn does."""
DRAWS = 200
"""Bootstrap samples."""
INTERVAL = 0.9
SEED = 20_000_102


# ── Values ────────────────────────────────────────────────────────────────────────────────────


def mean_absolute_error(actual: ArrayLike, predicted: ArrayLike) -> float:
    """Return mean |predicted - actual|, in the unit of the values."""
    y, z = _pair(actual, predicted)
    return float(np.abs(z - y).mean()) if len(y) else NAN


def root_mean_squared_error(actual: ArrayLike, predicted: ArrayLike) -> float:
    """Return the root of the mean squared error, in the unit of the values."""
    y, z = _pair(actual, predicted)
    return float(np.sqrt(((z - y) ** 2).mean())) if len(y) else NAN


def bias(actual: ArrayLike, predicted: ArrayLike) -> float:
    """Return sum of predicted / sum of actual - 1; NaN where the actual sum is not positive."""
    y, z = _pair(actual, predicted)
    total = y.sum()
    return float(z.sum() / total - 1) if total > 0 else NAN


def spearman(actual: ArrayLike, predicted: ArrayLike) -> float:
    """Return the correlation of ranks, ties sharing the mean rank; NaN where either never differs."""
    y, z = _pair(actual, predicted)
    if len(y) == 0:
        return NAN
    one, two = rankdata(y), rankdata(z)
    one, two = one - one.mean(), two - two.mean()
    norm = np.sqrt((one**2).sum() * (two**2).sum())
    return float((one * two).sum() / norm) if norm > 0 else NAN


def normalised_gini(actual: ArrayLike, predicted: ArrayLike) -> float:
    """Return the Gini coefficient of the actual values ordered by prediction over that of their own order.

    1: the order is perfect; 0: no better than chance. Equal predictions share their rank, so that the order of rows
    says nothing. NaN where actual values never differ, or are not positive in sum.
    """
    y, z = _pair(actual, predicted)
    if not y.sum() > 0:
        return NAN
    middle = (len(y) + 1) / 2
    best = (y * (rankdata(y) - middle)).sum()
    return float((y * (rankdata(z) - middle)).sum() / best) if best > 0 else NAN


def interval_coverage(actual: ArrayLike, low: ArrayLike, high: ArrayLike) -> float:
    """Return the share of actual values in [low, high]; customers without an interval do not count."""
    y, under, over = (_floats(values) for values in (actual, low, high))
    is_known = np.isfinite(under) & np.isfinite(over)
    return float(((under <= y) & (y <= over))[is_known].mean()) if is_known.any() else NAN


# ── Probabilities ─────────────────────────────────────────────────────────────────────────────


def roc_auc(happened: ArrayLike, probability: ArrayLike) -> float:
    """Return the probability that who had the event was given more than who had not, ties half; NaN for one class."""
    y, p = _pair(happened, probability)
    events, others = y.sum(), (1 - y).sum()
    if not (events and others):
        return NAN
    return float((rankdata(p)[y == 1].sum() - events * (events + 1) / 2) / (events * others))


def pr_auc(happened: ArrayLike, probability: ArrayLike) -> float:
    """Return the average precision: mean over events of the precision among all given as much or more; NaN for none."""
    y, p = _pair(happened, probability)
    if not y.sum():
        return NAN
    order = np.argsort(-p, kind="stable")
    hits = np.cumsum(y[order])
    # Equal probabilities are one threshold: its last row counts for all of them.
    last = np.flatnonzero(np.append(np.diff(p[order]) != 0, True))
    recall = np.diff(hits[last], prepend=0) / hits[-1]
    return float((recall * hits[last] / (last + 1)).sum())


def brier(happened: ArrayLike, probability: ArrayLike) -> float:
    """Return the mean squared difference of probability and outcome."""
    y, p = _pair(happened, probability)
    return float(((p - y) ** 2).mean()) if len(y) else NAN


def log_loss(happened: ArrayLike, probability: ArrayLike) -> float:
    """Return the mean of -log(probability of what came), probabilities kept 2.2e-16 away from 0 and 1."""
    y, p = _pair(happened, probability)
    p = np.clip(p, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return float(-(y * np.log(p) + (1 - y) * np.log1p(-p)).mean()) if len(y) else NAN


def expected_calibration_error(happened: ArrayLike, probability: ArrayLike) -> float:
    """Return mean |share of events - mean probability| over ten equally wide bins, weighted by their customers."""
    y, p = _pair(happened, probability)
    if len(y) == 0:
        return NAN
    bins = np.minimum((p * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, weights=p - y, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(y))


def accuracy(happened: ArrayLike, probability: ArrayLike) -> float:
    """Return the share of customers on the right side of one half: to be read beside `base_rate_accuracy`."""
    y, p = _pair(happened, probability)
    return float(((p >= THRESHOLD) == (y == 1)).mean()) if len(y) else NAN


def base_rate(happened: ArrayLike, probability: ArrayLike) -> float:
    """Return the share of customers who had the event."""
    y, _ = _pair(happened, probability)
    return float(y.mean()) if len(y) else NAN


def base_rate_accuracy(happened: ArrayLike, probability: ArrayLike) -> float:
    """Return the accuracy of saying the commoner outcome of everybody."""
    share = base_rate(happened, probability)
    return max(share, 1 - share)


VALUE_METRICS = {
    "mae": mean_absolute_error,
    "rmse": root_mean_squared_error,
    "spearman": spearman,
    "normalised_gini": normalised_gini,
    "bias": bias,
}
PROBABILITY_METRICS = {
    "roc_auc": roc_auc,
    "pr_auc": pr_auc,
    "brier": brier,
    "log_loss": log_loss,
    "expected_calibration_error": expected_calibration_error,
    "accuracy": accuracy,
    "base_rate": base_rate,
    "base_rate_accuracy": base_rate_accuracy,
}


# ── Frames ────────────────────────────────────────────────────────────────────────────────────


def value_metrics(
    actual: ArrayLike,
    predicted: ArrayLike,
    purchase_days: ArrayLike,
    interval: tuple[ArrayLike, ArrayLike] | None = None,
) -> pd.DataFrame:
    """Return the metrics of predicted values, for all customers and by group.

    Args:
        actual: what came.
        predicted: what was predicted.
        purchase_days: days with a purchase until the day of predicting, 1 or more.
        interval: low and high ends of the predictions' intervals; adds `interval_coverage`.

    Returns purchase_group, metric, value, n. Every group has its rows, also the empty ones (null, n = 0).

    """
    frame = _metrics(VALUE_METRICS, [actual, predicted], purchase_days)
    if interval is None:
        return frame
    covered = _metrics({"interval_coverage": interval_coverage}, [actual, *interval], purchase_days)
    return pd.concat([frame, covered], ignore_index=True)


def probability_metrics(happened: ArrayLike, probability: ArrayLike, purchase_days: ArrayLike) -> pd.DataFrame:
    """Return the metrics of probabilities of an event (0 or 1), in the columns of `value_metrics`."""
    return _metrics(PROBABILITY_METRICS, [happened, probability], purchase_days)


def _metrics(
    metrics: dict[str, Callable[..., float]], arrays: list[ArrayLike], purchase_days: ArrayLike
) -> pd.DataFrame:
    parts = [_floats(values) for values in arrays]
    days = _floats(purchase_days)
    groups = {ALL: np.ones(len(days), dtype=bool)}
    groups |= {group: (days >= least) & (days <= most) for group, (least, most) in PURCHASE_GROUPS.items()}
    rows = []
    for group, is_in in groups.items():
        own = [part[is_in] for part in parts]
        for name, metric in metrics.items():
            rows.append((group, name, metric(*own), int(is_in.sum())))
    frame = pd.DataFrame(rows, columns=["purchase_group", "metric", "value", "n"])
    return frame.astype({"value": "Float64"})


def bootstrap_interval(
    metric: Callable[..., float], *arrays: ArrayLike, draws: int = DRAWS, seed: int = SEED
) -> tuple[float, float]:
    """Return the 90 % percentile interval of a metric over customers drawn with replacement.

    `metric` takes `arrays`, resampled together: a difference or ratio of two models' metrics on the same customers is
    one metric of three arrays. Draws in which it cannot be told do not count; (NaN, NaN) where none can.
    """
    parts = [_floats(values) for values in arrays]
    count = len(parts[0])
    chance = np.random.default_rng(seed)
    values = []
    for _ in range(draws if count else 0):
        drawn = chance.integers(0, count, count)
        values.append(metric(*(part[drawn] for part in parts)))
    known = np.array(values)[np.isfinite(values)]
    if len(known) == 0:
        return NAN, NAN
    low, high = np.quantile(known, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2])
    return float(low), float(high)


def deciles(actual: ArrayLike, predicted: ArrayLike) -> pd.DataFrame:
    """Return what was predicted and what came by tenth of customers, 1 = highest prediction.

    Columns: decile, n, predicted_mean, actual_mean.
    Fewer than ten customers fill fewer deciles. Tenths differ by one customer at most; equal predictions at a border
    are split by row.
    """
    y, z = _pair(actual, predicted)
    order = np.argsort(-z, kind="stable")
    decile = np.empty(len(y), dtype=int)
    decile[order] = np.arange(len(y)) * DECILES // max(len(y), DECILES) + 1
    frame = pd.DataFrame({"decile": decile, "predicted": z, "actual": y})
    return frame.groupby("decile", as_index=False).agg(
        n=("actual", "size"), predicted_mean=("predicted", "mean"), actual_mean=("actual", "mean")
    )


def _pair(actual: ArrayLike, predicted: ArrayLike) -> tuple[Array, Array]:
    y, z = _floats(actual), _floats(predicted)
    if len(y) != len(z):
        raise ValueError(f"{len(y):,} outcomes and {len(z):,} predictions: one of each per customer is needed")
    return y, z


def _floats(values: ArrayLike) -> Array:
    return np.asarray(values, dtype=float).reshape(-1)
