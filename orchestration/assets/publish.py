"""The release as a Dagster asset: built beside the readers, judged by gate 3, swapped in."""

import time
from pathlib import Path

import dagster as dg

from orchestration import ledger, release
from orchestration.assets.warehouse import dbt_models
from orchestration.console import say
from orchestration.home import Home, incremental_checksum, project_checksum, read_manifest
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
    """Publish the marts as a complete folder that readers reach through published/current, or apart where asked for."""
    if wishes.parameters.output:
        return _publish_apart(context, warehouse.home, wishes.parameters.output)
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


def _publish_apart(context: dg.AssetExecutionContext, home: Home, output: Path) -> dg.MaterializeResult:
    """Publish below a folder of its own: readers, ledger of releases and pending loads stay as they are."""
    began, manifest = ledger.utc_now(), read_manifest()
    try:
        apart = release.publish_apart(
            home.database,
            home.path,
            output,
            manifest,
            run_id=context.run_id,
            published_at=began,
            code_checksum=incremental_checksum(manifest),
            config=home.settings,
        )
    except release.ReleaseError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
    with home.connect() as con:
        # Not a success of step `run`: the next run still has the current day to publish.
        ledger.record(con, [ledger.Step(context.run_id, "run", "run", "apart", started_at=began, message=str(output))])
    say(f"publish {apart.release_id} below {output}; readers keep their release")
    return dg.MaterializeResult(
        metadata={"release": apart.release_id, "path": str(output)},
        check_results=[dg.AssetCheckResult(passed=True, check_name="gate_3", metadata={"outcome": "apart"})],
    )
