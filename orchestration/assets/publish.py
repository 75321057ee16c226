"""The release as a Dagster asset: built beside the readers, judged by gate 3, swapped in."""

import time

import dagster as dg

from orchestration import ledger, release
from orchestration.assets.warehouse import dbt_models
from orchestration.console import say
from orchestration.home import incremental_checksum, project_checksum, read_manifest
from orchestration.quality.checks import release_check
from orchestration.resources import WarehouseResource, Wishes


@dg.asset(
    name="release",
    deps=[dbt_models],
    group_name="release",
    kinds={"duckdb", "parquet"},
    check_specs=[dg.AssetCheckSpec("gate_3", asset="release", description="May this release replace the last one?")],
)
def release_asset(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource, wishes: Wishes
) -> dg.MaterializeResult:
    """Publish the marts as a complete folder that readers reach through published/current."""
    home, started, began = warehouse.home, time.monotonic(), ledger.utc_now()
    manifest = read_manifest()
    try:
        report = release.publish(
            home.database,
            home.path,
            manifest,
            run_id=context.run_id,
            published_at=began,
            code_checksum=incremental_checksum(manifest),
            accept=wishes.parameters.accept_release,
            docs_dir=home.docs,
            config=home.settings,
        )
    except release.GateRefused as refusal:
        with home.connect() as con:
            ledger.record(con, [ledger.Step(context.run_id, "publish", "publish", "refused", message=str(refusal))])
        raise dg.Failure(description=str(refusal), allow_retries=False) from refusal
    seconds = time.monotonic() - started
    with home.connect() as con:
        ledger.record(
            con,
            [
                ledger.Step(context.run_id, "publish", "publish", "success", seconds=seconds, started_at=began),
                ledger.Step(
                    context.run_id, "run", "run", "success", started_at=began, code_checksum=project_checksum()
                ),
            ],
        )
    for warning in report.verdict.warnings:
        say(f"        warning: {warning}")
    say(
        f"publish {report.release.release_id}: {len(report.written)} files written, {len(report.linked)} kept, "
        f"in {seconds:.1f} s"
    )
    return dg.MaterializeResult(
        metadata={"release": report.release.release_id, "path": str(report.path)},
        check_results=[release_check(report)],
    )
