"""What is recorded of models: recordings that count once published, and outcomes that stay."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
import pytest

from orchestration import load, predictions

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN = {"run_id": "run", "recorded_at": datetime(2026, 11, 21, 4)}  # noqa: DTZ001 (UTC without a zone)


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        load.create_raw_tables(con)
        yield con


def scores(*rows: tuple[str, str, str], **columns: Any) -> pd.DataFrame:  # noqa: ANN401 - any column of raw.predictions
    """Return a frame of scores of (tenant, customer, as-of date)."""
    frame = pd.DataFrame(list(rows), columns=["user_id", "customer_id", "as_of_date"])
    frame["as_of_date"] = pd.to_datetime(frame["as_of_date"]).dt.date
    return frame.assign(**{"churn_probability": 0.25, "churn_horizon_days": 90} | columns)


def recordings(con: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    columns = "recording_id, user_id, as_of_date::varchar, customer_count, is_published"
    return con.execute(f"select {columns} from raw.prediction_recordings order by recording_id").fetchall()


def publish(con: duckdb.DuckDBPyConnection) -> None:
    """Publish a build without closed horizons."""
    con.execute("create schema if not exists intermediate")
    con.execute("create or replace table intermediate.int_prediction_closings as from raw.prediction_outcomes limit 0")
    predictions.remember(con)


def test_one_recording_for_each_tenant_and_date(con: duckdb.DuckDBPyConnection) -> None:
    frame = scores(("shop", "a", "2026-11-20"), ("shop", "b", "2026-11-20"), ("bank", "a", "2026-11-19"))
    frame.loc[1, "churn_probability"] = None
    predictions.record_scores(con, frame.assign(current_ltv=[10.5, 3.0, 0.0]), **RUN)
    assert recordings(con) == [(1, "bank", "2026-11-19", 1, False), (2, "shop", "2026-11-20", 2, False)]
    counts = "select predicted_count, churn_horizon_days, run_id, recorded_at from raw.prediction_recordings"
    assert con.execute(f"{counts} where user_id = 'shop'").fetchall() == [(1, 90, "run", RUN["recorded_at"])]
    rows = "select recording_id, customer_id, current_ltv, churn_probability, first_predicted_date from raw.predictions"
    assert con.execute(f"{rows} order by all").fetchall() == [
        (1, "a", 0, 0.25, date(2026, 11, 19)),
        (2, "a", 10.5, 0.25, date(2026, 11, 20)),
        (2, "b", 3, None, date(2026, 11, 20)),
    ]


def test_a_rerun_replaces_what_was_never_published_and_adds_to_what_was(con: duckdb.DuckDBPyConnection) -> None:
    frame = scores(("shop", "a", "2026-11-20"))
    predictions.record_scores(con, frame, **RUN)
    predictions.record_scores(con, frame.assign(churn_probability=0.5), **RUN)
    assert recordings(con) == [(1, "shop", "2026-11-20", 1, False)]
    assert con.execute("select churn_probability from raw.predictions").fetchall() == [(0.5,)]

    publish(con)
    predictions.record_scores(con, scores(("bank", "a", "2026-11-20")), **RUN)
    predictions.record_scores(con, frame, **RUN)
    # Another tenant's recording is not its own to forget.
    assert recordings(con) == [
        (1, "shop", "2026-11-20", 1, True),
        (2, "bank", "2026-11-20", 1, False),
        (3, "shop", "2026-11-20", 1, False),
    ]
    assert con.execute("select count(*) from raw.predictions").fetchone() == (3,)


def test_the_first_prediction_of_a_customer_is_remembered(con: duckdb.DuckDBPyConnection) -> None:
    for day in ("2026-11-18", "2026-11-20"):
        predictions.record_scores(con, scores(("shop", "a", day)), **RUN)
        publish(con)
    predictions.record_scores(con, scores(("shop", "a", "2026-11-21"), ("shop", "new", "2026-11-21")), **RUN)
    first = "select customer_id, first_predicted_date::varchar from raw.predictions where recording_id = 3"
    assert con.execute(f"{first} order by all").fetchall() == [("a", "2026-11-18"), ("new", "2026-11-21")]


@pytest.mark.parametrize(
    "frame",
    [
        scores(("shop", "a", "2026-11-20"), ("shop", "a", "2026-11-20")),
        scores(("shop", "a", "2026-11-20"), churn=1.0),
        scores(("shop", "a", "2026-11-20"), recording_id=7),
    ],
    ids=["a customer twice", "an unknown column", "a column of the record itself"],
)
def test_a_frame_that_does_not_fit_is_refused_whole(con: duckdb.DuckDBPyConnection, frame: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match=r"scores|predictions"):
        predictions.record_scores(con, frame, **RUN)
    assert recordings(con) == []


def test_a_failing_record_leaves_what_was_there(con: duckdb.DuckDBPyConnection) -> None:
    predictions.record_scores(con, scores(("shop", "a", "2026-11-20")), **RUN)
    with pytest.raises(duckdb.Error):
        predictions.record_scores(con, scores(("shop", "a", "2026-11-21"), churn_probability="high"), **RUN)
    assert recordings(con) == [(1, "shop", "2026-11-20", 1, False)]


def test_outcomes_are_recorded_once(con: duckdb.DuckDBPyConnection) -> None:
    publish(con)
    con.execute("""
        insert into intermediate.int_prediction_closings by name
        select 1 as recording_id, 'shop' as user_id, 'a' as customer_id, 30 as horizon_days, 2 as purchase_days
    """)
    for _ in range(2):
        predictions.remember(con)
    assert con.execute("select horizon_days, purchase_days from raw.prediction_outcomes").fetchall() == [(30, 2)]


def test_nothing_is_remembered_before_anything_was_built(con: duckdb.DuckDBPyConnection) -> None:
    predictions.record_scores(con, scores(("shop", "a", "2026-11-20")), **RUN)
    predictions.remember(con)
    assert recordings(con) == [(1, "shop", "2026-11-20", 1, False)]


def test_a_version_that_is_fitted_again_is_recorded_anew(con: duckdb.DuckDBPyConnection) -> None:
    key = {"user_id": ["shop"], "model_version": ["v1"], "model": ["ltv"]}
    versions = pd.DataFrame(key | {"is_promoted": [True], "reason": ["better than btyd"]})
    window = key | {"origin_date": [date(2026, 8, 22)], "horizon_days": [90]}
    metrics = pd.DataFrame(
        window | {"candidate": ["shipped"], "purchase_group": ["all"], "metric": ["mae"], "value": [3]}
    )
    deciles = pd.DataFrame(window | {"decile": [1], "n": [10], "predicted_mean": [1.0], "actual_mean": [2.0]})
    for value in (3, 4):
        frames = {"versions": versions, "metrics": metrics.assign(value=value), "deciles": deciles}
        predictions.record_models(con, **frames, **RUN)
    assert con.execute("select value from raw.model_metrics").fetchall() == [(4,)]
    assert con.execute("select count(*) from raw.model_deciles").fetchone() == (1,)
    assert con.execute("select run_id, recorded_at from raw.model_versions").fetchall() == [tuple(RUN.values())]
    with pytest.raises(ValueError, match="versions that are not among"):
        predictions.record_models(con, versions=versions.iloc[:0], metrics=metrics, deciles=deciles, **RUN)
