"""When runs start by themselves."""

from __future__ import annotations

import os

import dagster as dg

from orchestration.assets.verify import verify_sample
from orchestration.home import schedule_hour
from orchestration.parameters import Parameters

SUNDAY = 6

daily_job = dg.define_asset_job(
    "daily",
    selection=dg.AssetSelection.all(),
    description="Load new raw files, build and test the models, publish. Stops after the load when nothing is new.",
)

TIMEZONE = os.environ.get("WAREHOUSE_SCHEDULE_TIMEZONE", "UTC")


@dg.schedule(
    name="every_morning",
    job=daily_job,
    cron_schedule=f"0 {schedule_hour()} * * *",
    execution_timezone=TIMEZONE,
)
def daily_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Run every morning; on Sundays the tests of event-level models read all history."""
    is_sunday = context.scheduled_execution_time.weekday() == SUNDAY
    return dg.RunRequest(run_config=Parameters(test_all_history=is_sunday).run_config())


@dg.schedule(
    name="retrain_monthly",
    job=daily_job,
    cron_schedule=f"30 {schedule_hour()} 1 * *",
    execution_timezone=TIMEZONE,
)
def monthly_training() -> dg.RunRequest:
    """Fit the models anew on the first of the month, also of tenants whose as-of date stands still.

    Where it moves, the first run that speaks of a new month does so by itself.
    """
    return dg.RunRequest(run_config=Parameters(retrain=True).run_config())


@dg.job(name="verify", description="Recompute a sample of dates from the raw tables; fail where the marts differ.")
def verify_job() -> None:
    """Run the sample check of `warehouse verify`."""
    verify_sample()


weekly_verification = dg.ScheduleDefinition(
    name="verify_weekly", job=verify_job, cron_schedule="0 5 * * 1", execution_timezone=TIMEZONE
)
"""Mondays at 5, when the day's run is through: what drifts shows within weeks, for the price of a few dates."""
