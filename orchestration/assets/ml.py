"""The models as Dagster assets: thin shells over ml/ that read features, fit, score, and record.

What ml/ is made of takes two seconds to import, so it is imported only when models are needed.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

import dagster as dg
import pandas as pd
from duckdb import DuckDBPyConnection

from orchestration import ledger, predictions
from orchestration.console import say
from orchestration.home import Home
from orchestration.memory import MemorySampler
from orchestration.quality import prediction_gate
from orchestration.quality.checks import prediction_check
from orchestration.quality.release_gate import Record
from orchestration.resources import WarehouseResource, Wishes

if TYPE_CHECKING:
    from ml.learning import Learned
    from ml.training import Model, Settings

FEATURES = [dg.AssetKey(["marts", table]) for table in ("customer_features", "customer_outcomes")]
VERSIONS = [dg.AssetKey(["raw", table]) for table in predictions.OF_VERSIONS]
RECORDINGS = [dg.AssetKey(["raw", table]) for table in ("prediction_recordings", "predictions")]


@dataclass(frozen=True)
class Tenant:
    """Whose customers are scored, as of which local date, and what the tenant has set."""

    user_id: str
    as_of_date: date
    settings: "Settings"


@dg.multi_asset(
    name="train",
    specs=[dg.AssetSpec(key, deps=FEATURES, group_name="ml", kinds={"scikitlearn", "duckdb"}) for key in VERSIONS],
)
def trained_models(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource, wishes: Wishes
) -> Iterator[dg.MaterializeResult]:
    """Fit the models of each tenant that has none of its as-of date's month; keep what their backtests say."""
    home, began, started = warehouse.home, ledger.utc_now(), time.monotonic()
    with home.connect() as con, MemorySampler() as memory:
        due = [t for t in _tenants(con, context.run.run_id) if wishes.parameters.retrain or _in_force(home, t) is None]
        fitted = [_train(con, home, tenant, context.run.run_id, began) for tenant in due]
        cost = {"seconds": time.monotonic() - started, "started_at": began, "peak_memory_bytes": memory.peak}
        ledger.record(con, [ledger.Step(context.run.run_id, "train", "ml", "success", sum(fitted), **cost)])
    if due:
        say(f"train   models of {sum(fitted)} tenants fitted, {len(due) - sum(fitted)} have too little to learn from")
    for key in VERSIONS:
        yield dg.MaterializeResult(asset_key=key, metadata={"tenants": sum(fitted)})


@dg.multi_asset(
    name="score",
    specs=[
        dg.AssetSpec(key, deps=[*FEATURES, *VERSIONS], group_name="ml", kinds={"scikitlearn", "duckdb"})
        for key in RECORDINGS
    ],
    check_specs=[
        dg.AssetCheckSpec("gate_2", asset=RECORDINGS[1], description="Is what the models say fit to be recorded?")
    ],
)
def recorded_scores(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """Score every customer who has bought, and record the scores of the tenants that gate 2 lets pass."""
    home, began, started = warehouse.home, ledger.utc_now(), time.monotonic()
    with home.connect() as con, MemorySampler() as memory:
        tenants = _tenants(con, context.run.run_id)
        scores = {tenant.user_id: _score(con, home, tenant) for tenant in tenants}
        verdict = prediction_gate.judge(
            [_measured(con, tenant, scores[tenant.user_id]) for tenant in tenants], home.docs
        )
        passed = [frame for user_id, frame in scores.items() if user_id not in verdict.refused]
        if passed:
            predictions.record_scores(con, pd.concat(passed), run_id=context.run.run_id, recorded_at=began)
        count = sum(int(frame["churn_probability"].notna().sum()) for frame in passed)
        cost = {"seconds": time.monotonic() - started, "started_at": began, "peak_memory_bytes": memory.peak}
        ledger.record(con, [ledger.Step(context.run.run_id, "score", "ml", "success", count, **cost)])
    for user_id, sentences in verdict.warnings.items():
        for sentence in sentences:
            say(f"        warning: scores of {user_id}: {sentence}")
    if tenants:
        say(f"score   {count:,} customers of {len(passed)} tenants in {time.monotonic() - started:.1f} s")
    for key in RECORDINGS:
        yield dg.MaterializeResult(asset_key=key, metadata={"customers": count})
    yield prediction_check(verdict, asset_key=RECORDINGS[1])


def _tenants(con: DuckDBPyConnection, run_id: str) -> list[Tenant]:
    """Return the tenants with a customer who has bought; none where a run builds no features: its scores stand."""
    if any(step.selection for step in ledger.steps_of_run(con, run_id)):
        return []
    from ml.training import Settings

    rows = con.execute("""
        select clock.user_id, clock.as_of_date, tenants.churn_horizon_days, tenants.discount_rate_percent
        from intermediate.int_tenant_clock as clock
        join intermediate.int_tenants as tenants on clock.user_id = tenants.user_id
        where exists (
            from marts.customer_features as features
            where features.user_id = clock.user_id and features.as_of_date = clock.as_of_date
        )
        order by clock.user_id
    """).fetchall()
    return [
        Tenant(user_id, as_of, Settings(churn_horizon_days=int(horizon), discount_rate=float(percent) / 100))
        for user_id, as_of, horizon, percent in rows
    ]


def _in_force(home: Home, tenant: Tenant) -> "tuple[str, Model] | None":
    """Return the version that was promoted last of those of the as-of date's month, up to it; None where none serves.

    One that cannot be read serves nobody: the models are fitted anew.
    """
    from ml.learning import ARTIFACT, from_artifact
    from ml.registry import Registry, RegistryError

    registry = Registry(home.models)
    first = tenant.as_of_date.replace(day=1).isoformat()
    try:
        promotions = registry.promotions(tenant.user_id, ARTIFACT)
    except RegistryError as error:
        say(f"        warning: {error}")
        return None
    for version in reversed(promotions):
        if first <= version[: len(first)] <= tenant.as_of_date.isoformat():
            try:
                model = from_artifact(registry.load(tenant.user_id, ARTIFACT, version))
            except RegistryError as error:
                say(f"        warning: {error}")
            else:
                if model.settings == tenant.settings:
                    return version, model
    return None


def _train(con: DuckDBPyConnection, home: Home, tenant: Tenant, run_id: str, began: datetime) -> bool:
    """Fit, store and promote a tenant's models; say whether there was enough to learn from."""
    from ml.learning import ARTIFACT, learn, to_artifact
    from ml.registry import Registry

    learned = learn(
        _rows(con, "customer_features", tenant),
        _rows(con, "customer_outcomes", tenant),
        tenant.as_of_date,
        tenant.settings,
    )
    for warning in learned.model.warnings:
        say(f"        {tenant.user_id}: {warning}")
    if learned.model.reason:
        return False
    registry = Registry(home.models)
    version = registry.save(to_artifact(learned, tenant.user_id, tenant.as_of_date))
    predictions.record_models(
        con,
        versions=_versions(learned, tenant, version),
        metrics=learned.metrics.assign(model_version=version),
        deciles=learned.deciles.assign(model_version=version),
        run_id=run_id,
        recorded_at=began,
    )
    # Last: what is in force has its backtest recorded.
    registry.promote(tenant.user_id, ARTIFACT, version)
    return True


def _versions(learned: "Learned", tenant: Tenant, version: str) -> pd.DataFrame:
    from ml.learning import MODELS

    return pd.DataFrame(
        {
            "user_id": tenant.user_id,
            "model_version": version,
            "model": model,
            "trained_as_of_date": tenant.as_of_date,
            "data_hash": learned.data_hash,
            "is_promoted": learned.rejected[model] is None,
            "reason": learned.reason(model),
        }
        for model in MODELS
    )


def _score(con: DuckDBPyConnection, home: Home, tenant: Tenant) -> pd.DataFrame:
    """Return what the model in force says; without one, why there is none."""
    from ml.learning import unlearned
    from ml.scoring import score

    current = _rows(con, "customer_features", tenant, "=")
    version, model = _in_force(home, tenant) or (None, unlearned(current, tenant.as_of_date, tenant.settings))
    return score(model, current).assign(model_version=version, churn_horizon_days=tenant.settings.churn_horizon_days)


def _rows(con: DuckDBPyConnection, table: str, tenant: Tenant, compared: str = "<=") -> pd.DataFrame:
    """Return a tenant's rows of a mart of features whose date compares so with the tenant's as-of date."""
    rows = f"select * from marts.{table} where user_id = ? and as_of_date {compared} ?"
    return con.execute(rows, [tenant.user_id, tenant.as_of_date]).df()


def _measured(con: DuckDBPyConnection, tenant: Tenant, scores: pd.DataFrame) -> Record:
    """Return what gate 2 looks at: the scores, the buyers, the last recording, the model's backtest."""
    buyers = con.execute(
        """
        select count(distinct customer_id) from marts.orders
        where user_id = ? and order_date <= ? and not is_unmatched_refund
        """,
        [tenant.user_id, tenant.as_of_date],
    ).fetchall()[0][0]
    former = con.execute(
        """
        select avg(churn_probability), avg(expected_spend_1year) from raw.predictions
        where recording_id = (
            select max_by(recording_id, (as_of_date, recording_id)) from raw.prediction_recordings
            where is_published and user_id = $user_id and as_of_date <= $as_of_date
        )
        """,
        {"user_id": tenant.user_id, "as_of_date": tenant.as_of_date},
    ).fetchall()[0]
    missed = con.execute(
        """
        select
            max_by(value, origin_date) filter (metric = 'expected_calibration_error'),
            max_by(value, origin_date) filter (metric = 'bias')
        from raw.model_metrics
        where user_id = ? and model_version = ? and horizon_days = ?
            and purchase_group = 'all' and candidate = 'shipped'
        """,
        [tenant.user_id, scores["model_version"].iloc[0], tenant.settings.churn_horizon_days],
    ).fetchall()[0]
    return prediction_gate.measure(
        tenant.user_id,
        scores,
        buyers=buyers,
        former=prediction_gate.Former(*former),
        quality=prediction_gate.Quality(*missed),
    )
