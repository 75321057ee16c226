"""The release as a Dagster asset: built beside the readers, judged by gate 3, swapped in."""

import time
from datetime import datetime
from pathlib import Path

import dagster as dg
import duckdb

from orchestration import ledger, release
from orchestration.assets.warehouse import dbt_features, dbt_models
from orchestration.console import say
from orchestration.home import Home, incremental_checksum, project_checksum, read_manifest
from orchestration.memory import MemorySampler
from orchestration.quality.checks import release_check
from orchestration.release.restating import sentences
from orchestration.resources import WarehouseResource, Wishes


@dg.asset(
    name="release",
    deps=[dbt_features, dbt_models],
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
        with MemorySampler() as memory:
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
    missed = [
        f"no run spoke of {first} to {last} of {tenant}: this one fills these days"
        for tenant, (first, last) in sorted(report.missed.items())
    ]
    published = ledger.Step(
        context.run_id,
        "publish",
        "publish",
        "success",
        seconds=time.monotonic() - started,
        started_at=began,
        peak_memory_bytes=memory.peak,
        message="\n".join(missed) or None,
    )
    with home.connect() as con:
        ledger.record(con, [published])
        ledger.record(con, [_whole_run(con, context.run_id, began)])
    for warning in report.verdict.warnings:
        say(f"        warning: {warning}")
    for line in (*missed, *sentences(report.restated)):
        say(f"        {line}")
    say(
        f"publish {report.release.release_id}: {len(report.written)} files written, {len(report.linked)} kept, "
        f"in {published.seconds:.1f} s"
    )
    return dg.MaterializeResult(
        metadata={"release": report.release.release_id, "path": str(report.path)},
        check_results=[release_check(report)],
    )


def _whole_run(con: duckdb.DuckDBPyConnection, run_id: str, began: datetime) -> ledger.Step:
    """Return the row of the run as a whole: its code, its time since the load began, the most memory of its steps."""
    return ledger.Step(
        run_id,
        "run",
        "run",
        "success",
        seconds=(ledger.utc_now() - ledger.first_start(con, run_id)).total_seconds(),
        started_at=began,
        code_checksum=project_checksum(),
        peak_memory_bytes=ledger.peak_of_run(con, run_id),
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
