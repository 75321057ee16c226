"""The dbt project as Dagster assets: the only file that knows dbt."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from graphlib import TopologicalSorter
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliInvocation, DbtCliResource, dbt_assets
from packaging.version import Version

from orchestration import evaluations, ledger
from orchestration.console import say
from orchestration.costs import Costs
from orchestration.failures import in_words
from orchestration.home import MANIFEST, Home, incremental_checksum, read_manifest
from orchestration.memory import MemorySampler
from orchestration.parameters import (
    FOLLOWS_DEFINITIONS,
    MODELS_STEP,
    TELLS_WHAT_WAITS,
    is_only_of_definitions,
    reason_to_refresh,
)
from orchestration.resources import WarehouseResource, Wishes
from orchestration.state import waiting

FEATURES = "+customer_features +customer_outcomes"
"""What predictions are made from, with all that needs: built and tested before them. Everything else comes after."""

BUILT_KINDS = ("model", "seed")

LARGEST_TOLD = 6
"""How many tables a run names with their rows; the run ledger has them all."""

CHECKSUM_LENGTH = 16
"""Hexadecimal digits that are kept of a checksum."""

DBT_LOG = "dbt.log"
"""What dbt said in the last run, in WAREHOUSE_HOME."""


class Dbt(DbtCliResource):
    """dbt, without what Dagster would ask of it before each build: five seconds of every run."""

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> None:
        """Make none: it would count rows and read columns for Dagster, which the run ledger and contracts do."""

    @cached_property
    def _cli_version(self) -> Version:
        """Return the version of the dbt that is installed beside us, which is the one that runs."""
        return Version(version("dbt-core"))


class Translator(DagsterDbtTranslator):
    """Groups assets by room (staging, marts_rfm and so on)."""

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """Return the folder below models or seeds as group."""
        return "_".join(dbt_resource_props["fqn"][1:-1]) or "seeds"


@dbt_assets(manifest=MANIFEST, name="dbt_features", select=FEATURES, dagster_dbt_translator=Translator())
def dbt_features(
    context: dg.AssetExecutionContext, dbt: Dbt, warehouse: WarehouseResource, wishes: Wishes
) -> Iterator[Any]:
    """Build and test what predictions are made from. Touched dates only, or whole when code of these models changed."""
    home = warehouse.home
    checksum = incremental_checksum(read_manifest())
    with home.connect() as con:
        refresh = reason_to_refresh(
            wishes.parameters,
            built_checksums=ledger.checksums_in_tables(con, MODELS_STEP),
            current_checksum=checksum,
        )
        is_part = not (context.is_subset or refresh) and is_only_of_definitions(wishes.parameters, waiting(con, home))
        whole = ledger.Step(
            context.run_id,
            MODELS_STEP,
            "models",
            "started",
            seconds=0,
            started_at=ledger.utc_now(),
            code_checksum=checksum,
            is_full_refresh=refresh is not None,
            message=refresh,
            selection=FOLLOWS_DEFINITIONS if is_part else None,
        )
        if ledger.is_unpublished(con, MODELS_STEP):
            evaluations.forget_unpublished(con)
        # Before dbt begins: whatever ends this run, the next one knows which code the tables may come from.
        ledger.record(con, [whole])
    say("models  " + _extent(whole))
    # Of runs and verifications that were killed.
    for leftover in [*(home.path / "tmp").glob("dbt-*"), home.scratch]:
        shutil.rmtree(leftover, ignore_errors=True)
    # A test that also reads later models waits for them.
    arguments = [*_arguments(wishes, whole, TELLS_WHAT_WAITS), "--indirect-selection", "cautious"]
    yield from _build(context, dbt, home, whole, arguments)


@dbt_assets(manifest=MANIFEST, name="dbt_models", exclude=FEATURES, dagster_dbt_translator=Translator())
def dbt_models(
    context: dg.AssetExecutionContext, dbt: Dbt, warehouse: WarehouseResource, wishes: Wishes
) -> Iterator[Any]:
    """Build and test all other models, of which some read predictions."""
    with warehouse.home.connect() as con:
        whole = ledger.step(con, context.run_id, MODELS_STEP)
    yield from _build(context, dbt, warehouse.home, whole, _arguments(wishes, whole, FOLLOWS_DEFINITIONS))
    with warehouse.home.connect() as con:
        whole = replace(ledger.step(con, context.run_id, MODELS_STEP), status="success")
        ledger.record(con, [whole])
        steps = ledger.steps_of_run(con, context.run_id)
    tests = sum(step.kind == "test" for step in steps)
    built = [step for step in steps if step.kind in BUILT_KINDS]
    largest = sorted((step for step in built if step.row_count), key=lambda step: -step.row_count)[:LARGEST_TOLD]
    say("        rows: " + ", ".join(f"{step.step} {step.row_count:,}" for step in largest))
    say(f"models  {len(built)} built, {tests} tests passed or warned in {whole.seconds:.1f} s")


def _extent(whole: ledger.Step) -> str:
    if whole.is_full_refresh:
        return f"full refresh of the event-level models: {whole.message}"
    return "only what follows from the definitions of segments" if whole.selection else "touched dates only"


def _arguments(wishes: Wishes, whole: ledger.Step, selection: str) -> list[str]:
    """Return the dbt command of one of the two builds; `selection` is its part where the run builds some models."""
    arguments = wishes.parameters.dbt_arguments(full_refresh=whole.is_full_refresh is True)
    return [*arguments, "--select", selection] if whole.selection else arguments


def _build(
    context: dg.AssetExecutionContext, dbt: Dbt, home: Home, whole: ledger.Step, arguments: list[str]
) -> Iterator[Any]:
    """Run one of the run's two dbt builds, and add what it cost to the row of the models as a whole."""
    started, began = time.monotonic(), ledger.utc_now()
    target = home.path / "tmp" / f"dbt-{context.run_id}-{context.op.name}"
    # The project's own was written by `dbt parse`, under another profile: dbt would parse all anew, five seconds a run.
    # A run that is killed takes it along, and costs the next one these seconds.
    _move_if_there(home.parsed_project, target / home.parsed_project.name)
    # With a context, Dagster adds the selection of all assets of the build.
    of = {"manifest": MANIFEST, "dagster_dbt_translator": Translator()} if whole.selection else {"context": context}
    invocation = dbt.cli(arguments, **of, target_path=target, raise_on_error=False)
    with (
        _killed_with_us(invocation.process),
        MemorySampler(invocation.process.pid, with_children=True) as memory,
    ):
        events = _with_progress(invocation, context, home.path / DBT_LOG)
        yield from _with_standing(events, context) if whole.selection else events
    results, manifest = _results(target), read_manifest(_written(target / MANIFEST.name) or MANIFEST)
    _move_if_there(target / home.parsed_project.name, home.parsed_project)
    shutil.rmtree(target, ignore_errors=True)
    succeeded = invocation.is_successful()
    with home.connect() as con:
        costs = Costs(con, manifest, memory.samples, is_full_refresh=whole.is_full_refresh is True)
        steps = [_step(result, costs, context.run_id, began) for result in results]
        whole = replace(
            whole,
            status="started" if succeeded else "error",
            seconds=(whole.seconds or 0) + time.monotonic() - started,
            dates_recomputed=_most(whole.dates_recomputed, _dates_recomputed(results, steps, costs)),
            peak_memory_bytes=_most(whole.peak_memory_bytes, memory.peak),
        )
        ledger.record(con, [*steps, whole])
    if not succeeded:
        raise dg.Failure(description=_explain(results, home), allow_retries=False)


def _with_standing(events: Iterable[Any], context: dg.AssetExecutionContext) -> Iterator[Any]:
    """Tell Dagster also of the tables that stand as the last run left them: it skips what reads others.

    It wants to hear of a table after those that it is made from.
    """
    told = list(events)
    outputs = {event.output_name: event for event in told if isinstance(event, dg.Output)}
    for key in TopologicalSorter(context.assets_def.asset_deps).static_order():
        if key in context.selected_asset_keys:
            built = outputs.get(context.output_for_asset_key(key))
            yield built or dg.MaterializeResult(asset_key=key, metadata={"stands_as_it_was": True})
    yield from (event for event in told if not isinstance(event, dg.Output))


def _most(*numbers: int | None) -> int | None:
    return max((number for number in numbers if number is not None), default=None)


def _move_if_there(source: Path, target: Path) -> None:
    """Move a file within the home: a full disk cannot fail that."""
    if source.exists():
        target.parent.mkdir(exist_ok=True)
        source.replace(target)


@contextmanager
def _killed_with_us(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """See to it that dbt never outlives its run, even one that is killed with -9: it would go on writing.

    A shell waits for a line from us. Our death closes the pipe, the shell reads its end instead, and kills dbt.
    """
    guard = subprocess.Popen(  # noqa: S603 - constant but for the number of our own child
        ["/bin/sh", "-c", f"read line || kill -9 {process.pid}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    except BaseException:
        process.kill()
        raise
    finally:
        process.wait()
        guard.communicate(b"done\n")


def _with_progress(invocation: DbtCliInvocation, context: dg.AssetExecutionContext, log: Path) -> Iterator[Any]:
    """Turn dbt's events into Dagster's; tell people of each model, and keep dbt's own words in a file."""
    events = invocation.stream_raw_events()
    with log.open("w", encoding="utf-8") as words:
        while True:
            with redirect_stdout(words):
                event = next(events, None)
            if event is None:
                return
            info, data = event.raw_event["info"], event.raw_event["data"]
            if info["name"] in {"LogModelResult", "LogSeedResult"}:
                say(f"        {data['node_info']['node_name']:<32} {data['execution_time']:6.2f} s")
            elif info["name"] == "LogTestResult" and info["level"] in {"error", "warn"}:
                say(f"        {info['level']}: {data['name']}: {data['num_failures']} rows")
            yield from event.to_default_asset_events(
                manifest=invocation.manifest,
                dagster_dbt_translator=invocation.dagster_dbt_translator,
                context=context,
                target_path=invocation.target_path,
            )


def _results(target: Path) -> list[dict[str, Any]]:
    file = _written(target / "run_results.json")
    return json.loads(file.read_text(encoding="utf-8"))["results"] if file else []


def _written(artifact: Path) -> Path | None:
    return artifact if artifact.exists() else None


def _step(result: Mapping[str, Any], costs: Costs, run_id: str, began: datetime) -> ledger.Step:
    """Return the ledger row of a dbt node, with the rows of the table that it left."""
    key = result["unique_id"]
    step = ledger.Step(
        run_id,
        step=key.split(".", 2)[2],
        kind=key.split(".", 1)[0],
        status={"pass": "success", "fail": "error"}.get(result["status"], result["status"]),
        row_count=costs.table_rows(key),
        seconds=result["execution_time"],
        started_at=began,
        code_checksum=costs.node(key)["checksum"]["checksum"][:CHECKSUM_LENGTH] or None,
        message=None if result["status"] in {"pass", "success"} else (result["message"] or None),
        peak_memory_bytes=costs.peak_memory(result),
    )
    if step.row_count is None or step.status != "success":
        return step
    if step.kind == "seed":
        return replace(step, rows_out=step.row_count)
    step = replace(step, rows_in=costs.rows_in(key), rows_out=step.row_count)
    if costs.node(key)["config"]["materialized"] != "incremental":
        return step
    dates, rows = costs.replaced(key)
    return replace(step, dates_recomputed=dates, rows_out=rows)


def _dates_recomputed(results: Sequence[Mapping[str, Any]], steps: Sequence[ledger.Step], costs: Costs) -> int | None:
    """Return the most (tenant, date) pairs that a model replaced; session days are not counted beside dates."""
    return max(
        (
            step.dates_recomputed
            for result, step in zip(results, steps, strict=True)
            if step.dates_recomputed is not None
            and costs.node(result["unique_id"])["config"]["date_column"] != "session_date"
        ),
        default=None,
    )


def _explain(results: list[dict[str, Any]], home: Home) -> str:
    """Say which models and tests failed, how many rows, and what to do."""
    failed = [result for result in results if result["status"] in {"error", "fail", "runtime error"}]
    if not failed:
        log = home.path / DBT_LOG
        return f"dbt said nothing of its models: {in_words(log.read_text(encoding='utf-8'), home.path) or f'see {log}'}"
    lines = [
        f"{result['unique_id'].split('.', 2)[2]}: {' '.join((result['message'] or 'failed').split())[:400]}"
        for result in failed[:10]
    ]
    more = f"\n  and {len(failed) - 10} more" if len(failed) > 10 else ""  # noqa: PLR2004
    cause = in_words("\n".join(result["message"] or "" for result in failed), home.path)
    known = f"\n  {cause}" if cause else ""
    return f"dbt stopped; the last release stands.{known}\n  " + "\n  ".join(lines) + more
