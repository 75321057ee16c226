"""When runs start by themselves."""

from __future__ import annotations

import os

import dagster as dg

daily_job = dg.define_asset_job(
    "daily",
    selection=dg.AssetSelection.all(),
    description="Load new raw files, build and test the models, publish. Stops after the load when nothing is new.",
)

daily_schedule = dg.ScheduleDefinition(
    name="every_morning",
    job=daily_job,
    cron_schedule=f"0 {int(os.environ.get('WAREHOUSE_SCHEDULE_HOUR', '3'))} * * *",
    execution_timezone=os.environ.get("WAREHOUSE_SCHEDULE_TIMEZONE", "UTC"),
    default_status=dg.DefaultScheduleStatus.STOPPED,
)
