"""What models predicted, how good they are, and what came of it: recorded in `raw`, never rebuilt.

A *recording* is one scoring of a tenant's customers as of a date. It counts once it is published, like a load: one that
was never published goes when the next one is made, whatever its date, because no release was ever seen with it.
Published ones stay, and of several of one as-of date the last counts (`int_prediction_recordings`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestration.load.tables import TABLES, declared_columns
from orchestration.state import is_built

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd
    from duckdb import DuckDBPyConnection

CLOSINGS = "intermediate.int_prediction_closings"
RECORDED = ("recording_id", "first_predicted_date")
"""Columns of raw.predictions that recording fills itself."""
OF_VERSIONS = ("model_versions", "model_metrics", "model_deciles")
"""Tables of raw that are kept by tenant and model version."""


def record_scores(con: DuckDBPyConnection, scores: pd.DataFrame, *, run_id: str, recorded_at: datetime) -> None:
    """Record what the models say of customers, one recording for each tenant and as-of date of the frame.

    Args:
        con: the working warehouse.
        scores: one row per tenant (user_id), customer_id and as_of_date, with columns of raw.predictions; those that it
            lacks are null. Money in the tenant's currency, probabilities from 0 to 1.
        run_id: the run that made it.
        recorded_at: when, UTC without a zone; what counts after what is told by recording_id alone.

    Recordings of these tenants that were never published go. Raises ValueError for a column that raw.predictions does
    not have, for one that recording fills itself, and for two rows of one customer and date.

    """
    _require_known(scores, "predictions", without=RECORDED)
    if scores.duplicated(["user_id", "customer_id", "as_of_date"]).any():
        message = "scores: a customer stands twice under one as-of date"
        raise ValueError(message)
    con.register("scored", scores)
    con.begin()
    try:
        _forget_unpublished(con, "select distinct user_id from scored")
        _insert_recordings(con, scores, run_id, recorded_at)
        con.execute(f"""
            insert into raw.predictions by name
            with former as (
                select user_id, as_of_date, max(recording_id) as recording_id
                from raw.prediction_recordings where is_published group by user_id, as_of_date
            ), with_recordings as (
                select recordings.recording_id, scored.*,
                    recordings.former_date, former.recording_id as former_id
                from scored
                join new_recordings as recordings
                    on scored.user_id = recordings.user_id and scored.as_of_date::date = recordings.as_of_date
                left join former on recordings.user_id = former.user_id and recordings.former_date = former.as_of_date
            )
            select with_recordings.* exclude (former_date, former_id),
                coalesce(before.first_predicted_date, with_recordings.as_of_date::date) as {RECORDED[1]}
            from with_recordings
            left join raw.predictions as before
                on with_recordings.former_id = before.recording_id
                and with_recordings.user_id = before.user_id and with_recordings.customer_id = before.customer_id
        """)
    except BaseException:
        con.rollback()
        raise
    finally:
        con.unregister("scored")
    con.commit()


def _insert_recordings(con: DuckDBPyConnection, scores: pd.DataFrame, run_id: str, recorded_at: datetime) -> None:
    """Write the recordings of `scored`, and keep them in new_recordings with the as-of date of the one before each."""
    horizon = "max(churn_horizon_days)" if "churn_horizon_days" in scores else "null"
    predicted = "count(churn_probability)" if "churn_probability" in scores else "0"
    con.execute(
        f"""
        create or replace temp table new_recordings as
        with counted as (
            select user_id, as_of_date::date as as_of_date, count(*) as customer_count,
                {predicted} as predicted_count, {horizon}::integer as churn_horizon_days
            from scored group by all
        )
        select
            (select coalesce(max(recording_id), 0) from raw.prediction_recordings)
                + row_number() over (order by user_id, as_of_date) as recording_id,
            *, (
                select max(as_of_date) from raw.prediction_recordings as earlier
                where earlier.user_id = counted.user_id and earlier.as_of_date <= counted.as_of_date and is_published
            ) as former_date,
            $run_id as run_id, $recorded_at::timestamp as recorded_at, false as is_published
        from counted
        """,
        {"run_id": run_id, "recorded_at": recorded_at},
    )
    con.execute("insert into raw.prediction_recordings by name select * exclude (former_date) from new_recordings")


def record_models(  # noqa: PLR0913
    con: DuckDBPyConnection,
    *,
    versions: pd.DataFrame,
    metrics: pd.DataFrame,
    deciles: pd.DataFrame,
    run_id: str,
    recorded_at: datetime,
) -> None:
    """Record fitted model versions with their backtest; what was recorded of the same versions is replaced.

    Each frame has user_id and model_version and other columns of its raw table (model_versions, model_metrics,
    model_deciles). Raises ValueError for a column that the table does not have, and for metrics or deciles of a
    version that is not among `versions`.
    """
    frames = dict(zip(OF_VERSIONS, (versions, metrics, deciles), strict=True))
    known = set(zip(versions["user_id"], versions["model_version"], strict=True))
    for table, frame in frames.items():
        _require_known(frame, table, without=("run_id", "recorded_at"))
        if strange := set(zip(frame["user_id"], frame["model_version"], strict=True)) - known:
            message = f"{table}: versions that are not among those recorded: {sorted(strange)}"
            raise ValueError(message)
    con.begin()
    try:
        for table, frame in frames.items():
            con.register("fitted", frame)
            con.register("fitted_versions", versions)
            con.execute(f"""
                delete from raw.{table}
                where (user_id, model_version) in (select (user_id, model_version) from fitted_versions)
            """)
            con.execute(f"insert into raw.{table} by name from fitted")
            con.unregister("fitted")
            con.unregister("fitted_versions")
        con.execute(
            "update raw.model_versions set run_id = $run_id, recorded_at = $recorded_at where run_id is null",
            {"run_id": run_id, "recorded_at": recorded_at},
        )
    except BaseException:
        con.rollback()
        raise
    con.commit()


def remember(con: DuckDBPyConnection) -> None:
    """Count the recordings of the build that is being published as published, and record what came of earlier ones.

    Within the publication's own transaction. Recordings later than the as-of date that was built stay as they are.
    """
    if not is_built(con, CLOSINGS):
        return
    con.execute("update raw.prediction_recordings set is_published = true where not is_published")
    con.execute(f"""
        insert into raw.prediction_outcomes by name
        from {CLOSINGS} as closings
        where not exists (
            from raw.prediction_outcomes as recorded
            where recorded.recording_id = closings.recording_id and recorded.horizon_days = closings.horizon_days
        )
    """)


def _forget_unpublished(con: DuckDBPyConnection, tenants: str) -> None:
    forgotten = f"""
        select recording_id from raw.prediction_recordings where not is_published and user_id in ({tenants})
    """
    con.execute(f"delete from raw.predictions where recording_id in ({forgotten})")
    con.execute(f"delete from raw.prediction_recordings where recording_id in ({forgotten})")


def _require_known(frame: pd.DataFrame, table: str, *, without: tuple[str, ...]) -> None:
    known = declared_columns(TABLES[f"raw.{table}"]).keys() - set(without)
    if strange := sorted(set(frame.columns) - known):
        message = f"{table}: columns that raw.{table} does not take: {', '.join(map(str, strange))}"
        raise ValueError(message)
