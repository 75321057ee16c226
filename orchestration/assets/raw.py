"""The load step as Dagster assets: new raw files → the raw tables, judged by gate 1."""

import time
from collections.abc import Iterator

import dagster as dg

from orchestration import ledger, load
from orchestration.console import say
from orchestration.home import known_event_types
from orchestration.load.feeds import FEEDS
from orchestration.memory import MemorySampler
from orchestration.parameters import reason_to_build
from orchestration.quality.checks import load_checks
from orchestration.resources import WarehouseResource, Wishes
from orchestration.state import waiting

LEDGERS = ("load_ledger", "rejected_rows", "tenant_loads", "recompute_requests")


@dg.multi_asset(
    name="load",
    specs=[
        dg.AssetSpec(["raw", table], group_name="raw", kinds={"duckdb"}, skippable=True) for table in (*FEEDS, *LEDGERS)
    ],
    check_specs=[
        dg.AssetCheckSpec("gate_1", asset=["raw", feed], description="May this load enter?") for feed in FEEDS
    ],
)
def load_assets(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource, wishes: Wishes
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """Load new files. Yields nothing, so that everything after it is skipped, when there is nothing to build."""
    home, started, began = warehouse.home.make(), time.monotonic(), ledger.utc_now()
    with home.connect() as con, MemorySampler() as memory:
        try:
            load.create_raw_tables(con)
        except load.LoadError as error:
            raise dg.Failure(description=str(error), allow_retries=False) from error
        report = load.load_new_files(
            con,
            home.raw,
            run_id=context.run_id,
            loaded_at=began,
            known_event_types=known_event_types(),
            docs_dir=home.docs,
            on_progress=lambda line: say(f"        {line}"),
        )
        reason = reason_to_build(wishes.parameters, waiting(con, home))
        seconds = time.monotonic() - started
        kept = sum(file.kept_count or 0 for file in report.files)
        step = ledger.Step(
            context.run_id,
            "load",
            "load",
            "success",
            kept,
            seconds,
            began,
            message=reason or ledger.NOTHING_NEW,
            rows_in=sum(file.row_count or 0 for file in report.files),
            rows_out=kept,
            peak_memory_bytes=memory.peak,
        )
        ledger.record(con, [step])
    for warning in report.warnings:
        say(f"        warning: {warning}")
    yield from load_checks(report)
    if reason is None:
        say(f"load    nothing new, nothing changed ({seconds:.1f} s)")
        return
    say(f"load    done in {seconds:.1f} s; building, because {reason}")
    for table in (*FEEDS, *LEDGERS):
        yield dg.MaterializeResult(asset_key=["raw", table])
