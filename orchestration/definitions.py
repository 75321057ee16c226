"""All that Dagster knows of this project. It assembles only."""

import dagster as dg

from orchestration.assets.ml import recorded_scores, trained_models
from orchestration.assets.publish import release_asset
from orchestration.assets.raw import load_assets
from orchestration.assets.warehouse import Dbt, dbt_features, dbt_models
from orchestration.home import DBT, PROJECT_DIR
from orchestration.resources import WarehouseResource, Wishes
from orchestration.schedules import daily_job, daily_schedule, monthly_training, verify_job, weekly_verification
from orchestration.sensors import new_raw_files

defs = dg.Definitions(
    assets=[load_assets, dbt_features, trained_models, recorded_scores, dbt_models, release_asset],
    jobs=[daily_job, verify_job],
    schedules=[daily_schedule, monthly_training, weekly_verification],
    sensors=[new_raw_files],
    resources={
        "dbt": Dbt(project_dir=str(PROJECT_DIR), profiles_dir=str(PROJECT_DIR), dbt_executable=str(DBT)),
        "warehouse": WarehouseResource(),
        "wishes": Wishes(),
    },
    # DuckDB takes one writing process; and it saves 12 s a run.
    executor=dg.in_process_executor,
)
