"""Learning of one tenant as the warehouse does it: backtest first, then a model of only what did no harm in it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from ml import registry
from ml.backtest import backtest, measured, verdict, with_intervals
from ml.training import THREADS, Model, Past, Settings, fit, reason_against

if TYPE_CHECKING:
    from datetime import date

MODELS = ("ltv", "churn")
ARTIFACT = "predictions"
"""The registry's name for what both models of a tenant are stored as: they share the purchase models."""


@dataclass(frozen=True)
class Learned:
    """A fitted model with its backtest. `rejected`: why a correction was left out, by model; None where it serves."""

    model: Model
    metrics: pd.DataFrame
    deciles: pd.DataFrame
    rejected: dict[str, str | None]
    data_hash: str

    def reason(self, model: str) -> str:
        """Return why boosting serves, or does not, in model 'ltv' or 'churn'."""
        if self.metrics.empty:
            return "no window has closed by which it could be judged"
        return self.rejected[model] or "not worse than the purchase models alone on the last closed window"


def learn(features: pd.DataFrame, outcomes: pd.DataFrame, as_of_date: date, settings: Settings) -> Learned:
    """Fit the models of one tenant.

    Args:
        features: rows of customer_features: at `as_of_date` of all customers, at earlier dates of those learned from.
        outcomes: rows of customer_outcomes.
        as_of_date: tenant-local date at whose end the model stands; nothing after it is used.
        settings: the tenant's.

    What boosting adds to the purchase models serves only where it was not worse than they alone on the last closed
    window, by RMSE of spend and by log loss of churn.

    """
    past = Past(features, outcomes)
    trials = backtest(past, as_of_date, settings)
    metrics, deciles = measured(trials)
    rejected = verdict(metrics, settings.churn_horizon_days)
    with threadpool_limits(THREADS):
        model = fit(past, pd.Timestamp(as_of_date), settings)
        if rejected["churn"]:
            model = replace(model, stacks={})
        if rejected["ltv"]:
            model = replace(model, corrections=())
        model = with_intervals(past, model, trials)
    return Learned(model, metrics, deciles, rejected, hash_of(features, outcomes))


def hash_of(*frames: pd.DataFrame) -> str:
    """Return a hash of rows, whatever their order."""
    sums = (int(pd.util.hash_pandas_object(frame, index=False).to_numpy().sum(dtype=np.uint64)) for frame in frames)
    return "-".join(f"{part:016x}" for part in sums)


def to_artifact(learned: Learned, user_id: str, as_of_date: date) -> registry.Artifact:
    """Return what the registry stores."""
    values, arrays = learned.model.state()
    return registry.Artifact(user_id, ARTIFACT, as_of_date, learned.data_hash, values, _plain(learned.metrics), arrays)


def from_artifact(artifact: registry.Artifact) -> Model:
    """Return the model that an artifact holds. Raises CorruptArtifactError where it holds none."""
    try:
        return Model.from_state(artifact.parameters, artifact.arrays)
    except (KeyError, TypeError, ValueError) as error:
        message = f"version {artifact.version} of tenant {artifact.user_id!r} holds no model of this code: train again"
        raise registry.CorruptArtifactError(message) from error


def unlearned(current: pd.DataFrame, as_of_date: date, settings: Settings) -> Model:
    """Return the model of a tenant without one, which gives the reason instead of figures.

    Raises LookupError where there is enough to learn from: then a model should have been fitted.
    """
    first = pd.to_datetime(current["first_purchase_date"]).min()
    history_days = (pd.Timestamp(as_of_date) - first).days
    reason = reason_against(current, history_days)
    if reason is None:
        message = f"no model of {as_of_date:%Y-%m} is in force, though there is enough to learn from"
        raise LookupError(message)
    return Model(str(as_of_date), settings, reason=reason, history_days=history_days)


def _plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as JSON has them."""
    return json.loads(frame.to_json(orient="records", date_format="iso"))
