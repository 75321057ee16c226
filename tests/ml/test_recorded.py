"""The models as Dagster runs them: fitted once a month, scored each time, recorded where gate 2 lets them pass."""

from __future__ import annotations

import json
import pickle
import shutil
from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd
import pytest
from history import END, frames, purchases

from ml.learning import ARTIFACT
from ml.registry import FORMAT_VERSION, Registry
from orchestration import load
from orchestration.assets import ml as assets
from orchestration.home import Home
from orchestration.quality.checks import refusals
from orchestration.resources import WarehouseResource, Wishes

if TYPE_CHECKING:
    from pathlib import Path

TENANT = "shop"


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Return a home whose shop has models, fitted and scored in a first run."""
    home = Home(tmp_path_factory.mktemp("home")).make()
    features, outcomes = frames(purchases(1_200))
    few = features[features["customer_id"].isin(sorted(features["customer_id"].unique())[:40])].assign(user_id="stall")
    with home.connect() as con:
        load.create_raw_tables(con)
        con.execute("create schema marts")
        con.execute("create schema intermediate")
        con.register("features_frame", pd.concat([features, few]))
        con.register("outcomes_frame", outcomes)
        for table in ("features", "outcomes"):
            con.execute(f"create table marts.customer_{table} as from {table}_frame")
            con.execute(f"update marts.customer_{table} set as_of_date = as_of_date::date")
            con.execute(f"alter table marts.customer_{table} alter as_of_date type date")
        con.execute(f"""
            create table intermediate.int_tenant_clock as
            select user_id, date '{END:%Y-%m-%d}' as as_of_date
            from (values ('shop'), ('stall'), ('empty')) as tenants (user_id)
        """)
        con.execute("""
            create table intermediate.int_tenants as
            select user_id, 90 as churn_horizon_days, 0 as discount_rate_percent from intermediate.int_tenant_clock
        """)
        con.execute(f"""
            create table marts.orders as
            select user_id, customer_id, first_purchase_date::date as order_date, false as is_unmatched_refund
            from marts.customer_features where as_of_date = date '{END:%Y-%m-%d}'
        """)
    assert not run(home)
    return home


@pytest.fixture
def copied(fitted: Home, tmp_path: Path) -> Home:
    """Return a copy of the home that a test may spoil."""
    return Home(shutil.copytree(fitted.path, tmp_path / "home"))


def run(home: Home, **wishes: Any) -> list[str]:  # noqa: ANN401 - any wish
    """Run both assets; return what gate 2 kept out."""
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        patch.setenv("WAREHOUSE_HOME", str(home.path))
        result = dg.materialize(
            [assets.trained_models, assets.recorded_scores],
            instance=instance,
            resources={"warehouse": WarehouseResource(), "wishes": Wishes(**wishes)},
        )
    assert result.success
    return refusals(result.get_asset_check_evaluations())


def rows(home: Home, sql: str) -> list[tuple[Any, ...]]:
    with home.connect() as con:
        return con.execute(sql).fetchall()


def publish(home: Home) -> None:
    """Count what was recorded as published."""
    rows(home, "update raw.prediction_recordings set is_published = true")


def test_who_has_bought_is_scored_and_who_cannot_be_is_told_why(fitted: Home) -> None:
    buyers = "select user_id, count(*) from marts.customer_features where as_of_date = (select max(as_of_date) from "
    buyers += "marts.customer_features) group by user_id order by user_id"
    scored = "select user_id, count(*) from raw.predictions group by user_id order by user_id"
    assert rows(fitted, scored) == rows(fitted, buyers)
    said = "select distinct user_id, no_prediction_reason, churn_probability is null, model_version is null"
    assert rows(fitted, f"{said} from raw.predictions order by all") == [
        ("shop", None, False, False),
        ("stall", "fewer than 100 customers with a purchase", True, True),
    ]


def test_a_fitted_model_is_recorded_with_its_backtest(fitted: Home) -> None:
    candidates = "select distinct candidate from raw.model_metrics where model = 'ltv' order by all"
    assert rows(fitted, candidates) == [("btyd",), ("carry_forward",), ("shipped",)]
    assert rows(fitted, "select count(*) from raw.model_deciles where n is null or predicted_mean is null") == [(0,)]


def test_what_did_worse_than_the_purchase_models_does_not_serve(fitted: Home) -> None:
    artifact = Registry(fitted.models).load(TENANT, ARTIFACT)
    last = """
        select max_by(value, origin_date) from raw.model_metrics
        where purchase_group = 'all' and horizon_days = 90 and model = '{}' and metric = '{}' and candidate = '{}'
    """
    for model, metric, part in (("ltv", "rmse", "corrections"), ("churn", "log_loss", "stacks")):
        [(challenger,)], [(alone,)] = (rows(fitted, last.format(model, metric, who)) for who in ("shipped", "btyd"))
        [(version, is_promoted, reason)] = rows(
            fitted, f"select model_version, is_promoted, reason from raw.model_versions where model = '{model}'"
        )
        assert version == artifact.version
        assert is_promoted == (challenger <= alone) == bool(artifact.parameters[part])
        assert ("is worse than" in reason) != is_promoted


@pytest.mark.deep
def test_models_are_fitted_once_a_month_and_when_asked(copied: Home) -> None:
    registry = Registry(copied.models)
    assert run(copied) == []
    assert len(registry.versions(TENANT, ARTIFACT)) == 1
    # Another settings is another model; equal data is the same one.
    rows(copied, "update intermediate.int_tenants set churn_horizon_days = 30")
    assert run(copied) == []
    assert len(registry.versions(TENANT, ARTIFACT)) == 2
    rows(copied, "update intermediate.int_tenants set churn_horizon_days = 90")
    run(copied, retrain=True)
    assert len(registry.versions(TENANT, ARTIFACT)) == 2
    # The last day of a month before: none of its models is there.
    rows(copied, "update intermediate.int_tenant_clock set as_of_date = as_of_date - 90")
    rows(copied, f"delete from marts.customer_features where as_of_date = date '{END:%Y-%m-%d}'")
    run(copied)
    assert len(registry.versions(TENANT, ARTIFACT)) == 3


@pytest.mark.deep
@pytest.mark.parametrize("spoil", ["cut", "pickle", "format", "promotions"])
def test_an_unreadable_artifact_is_fitted_anew(copied: Home, spoil: str, capsys: pytest.CaptureFixture[str]) -> None:
    scores = "select customer_id, churn_probability, expected_spend_1year from raw.predictions order by all"
    before = rows(copied, scores)
    [arrays] = copied.models.rglob("arrays.npz")
    manifest = arrays.with_name("manifest.json")
    named = arrays.parent.name
    match spoil:
        case "promotions":
            named = "promoted.json"
            (arrays.parent.parent / named).write_text("garbage{")
        case "cut":
            arrays.write_bytes(arrays.read_bytes()[:-100])
        case "pickle":
            arrays.write_bytes(pickle.dumps({"a": 1}))
        case "format":
            described = json.loads(manifest.read_text())
            manifest.write_text(json.dumps(described | {"format_version": FORMAT_VERSION - 1}))
    run(copied)
    assert rows(copied, scores) == before
    assert named in capsys.readouterr().out


def test_a_tenant_that_gate_2_refuses_keeps_what_was_recorded(copied: Home) -> None:
    publish(copied)
    recordings = "select recording_id, user_id from raw.prediction_recordings order by all"
    before = rows(copied, recordings)
    # A buyer whom the features do not know.
    rows(copied, "insert into marts.orders select 'shop', 'unknown', max(order_date), false from marts.orders")
    [refused] = run(copied)
    assert refused.startswith("scores of shop: gate 2, uncovered")
    after = rows(copied, recordings)
    assert {user for _, user in set(after) - set(before)} == {"stall"}
