"""The `warehouse` command. Its subcommands run what the schedules run: Dagster's daily job, or the same functions.

Exit codes: 0 done; 1 a gate refused or a step failed (the last release stands); 2 wrong usage; 3 all is done that
could be, but at least one file was refused.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click
import duckdb

from orchestration import last_run, ledger, load, release, verify
from orchestration.console import say
from orchestration.failures import in_words
from orchestration.home import (
    DBT,
    MANIFEST,
    PROJECT_DIR,
    Home,
    SettingError,
    WarehouseBusyError,
    duckdb_memory,
    exclusive,
    known_event_types,
    manifest_is_current,
    warehouse_home,
)
from orchestration.parameters import Parameters
from orchestration.segments.catalogue import SegmentError
from orchestration.segments.commands import segments_group
from orchestration.status import last_run_line, release_lines

if TYPE_CHECKING:
    from dagster._utils.error import SerializableErrorInfo

DONE, FAILED, WRONG_USAGE, PARTLY_DONE = 0, 1, 2, 3

DAGSTER_YAML = """\
# One run at a time: sensor, schedule and hand never collide.
telemetry:
  enabled: false
concurrency:
  runs:
    max_concurrent_runs: 1
"""

day = click.DateTime(formats=["%Y-%m-%d"])
EASTERNMOST = timedelta(hours=14)
"""Where the new day begins first, ahead of UTC."""


OUR_OWN = (
    SettingError,
    WarehouseBusyError,
    release.ReleaseError,
    load.LoadError,
    verify.VerifyError,
    verify.RebuildError,
    SegmentError,
)
"""Failures whose message says already what is wrong and what to do."""
KNOWN_FAILURES = (*OUR_OWN, duckdb.Error, OSError, subprocess.CalledProcessError)


def explained(error: Exception) -> str | None:
    """Put a known failure in words, with what to do about it where that is known; None: it is not known."""
    # Not only errors of files and DuckDB: Dagster's own ledger is SQLite, and a full disk may show there first.
    if not isinstance(error, OUR_OWN) and (sentence := in_words(str(error), warehouse_home())):
        return sentence
    if isinstance(error, subprocess.CalledProcessError):
        return "dbt could not read the project: see above what is wrong, and where"
    return str(error) if isinstance(error, KNOWN_FAILURES) else None


class Warehouse(click.Group):
    """A group whose commands end in one clear message instead of a traceback where the cause is known."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; known failures become exit code 1, what was wrongly asked of segments 2."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # the reader of our output has seen enough: click ends quietly
            raise
        except Exception as error:
            if (message := explained(error)) is None:
                raise
            click.echo(f"warehouse: {message}", err=True)
            ctx.exit(WRONG_USAGE if isinstance(error, SegmentError) else FAILED)


@click.group(cls=Warehouse)
def main() -> None:
    """Turn raw customer events into published customer tables.

    Everything is read from and written to WAREHOUSE_HOME (default: .warehouse in the project folder).
    """


def prepare() -> Home:
    """Make the home's folders, Dagster's settings, the raw tables and dbt's manifest, where they are missing or old."""
    home = Home(warehouse_home()).make()
    os.environ |= {
        "WAREHOUSE_HOME": str(home.path),
        "WAREHOUSE_DUCKDB_MEMORY": duckdb_memory(),
        "DAGSTER_HOME": str(home.path / "dagster"),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        "DO_NOT_TRACK": "1",
    }
    (home.path / "dagster" / "dagster.yaml").write_text(DAGSTER_YAML, encoding="utf-8")
    if not home.database.exists():
        with home.connect() as con:
            load.create_raw_tables(con)
    if not manifest_is_current():
        command = [DBT, "--quiet", "parse", "--target-path", str(MANIFEST.parent)]
        subprocess.run(command, cwd=PROJECT_DIR, check=True)  # noqa: S603 - our own dbt, constant arguments
        MANIFEST.touch()
        # The first build need not parse it all again; it can.
        with suppress(OSError):
            shutil.copy(MANIFEST.with_name(home.parsed_project.name), home.parsed_project)
    return home


def run_job(home: Home, parameters: Parameters) -> int:
    """Run the daily job in this process; return the exit code."""
    import dagster as dg

    from orchestration.definitions import defs
    from orchestration.quality.checks import refusals

    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    # It warns of checks that did not run, of tables that stand as the last run left them.
    logging.getLogger("dagster._core.execution.plan.active").setLevel(logging.ERROR)
    # The run ledger tells of this run. Dagster's own history in SQLite would cost as much as a small day's models.
    with dg.DagsterInstance.ephemeral() as instance:
        result = defs.resolve_job_def("daily").execute_in_process(
            run_config=parameters.run_config() | quiet, instance=instance, raise_on_error=False
        )
    for event in result.filter_events(lambda event: event.is_step_failure):
        data = event.step_failure_data
        reason = data.user_failure_data.description if data.user_failure_data else _in_words(data.error, home)
        click.echo(f"warehouse: {event.step_key}: {reason}", err=True)
    if not result.success:
        return FAILED
    refused = refusals(result.get_asset_check_evaluations())
    for reason in refused:
        click.echo(f"warehouse: refused {reason}", err=True)
    return PARTLY_DONE if refused else DONE


def _in_words(error: SerializableErrorInfo, home: Home) -> str:
    """Say what made a step fail: a known failure in a sentence, anything else with its traceback."""
    cause: SerializableErrorInfo | None = error
    while cause:
        if cause.cls_name in {known.__name__ for known in OUR_OWN}:
            return cause.message.partition(": ")[2].strip()
        if sentence := in_words(cause.message, home.path):
            return sentence
        cause = cause.cause or cause.context
    return error.to_string()


@main.command()
@click.option("--quiet", is_flag=True, help="Say nothing.")
def init(*, quiet: bool) -> None:
    """Make WAREHOUSE_HOME, its empty raw tables and dbt's manifest. Other commands do it by themselves."""
    home = prepare()
    if not quiet:
        say(f"{home.path} is ready; put files under {home.raw}/<feed>/")


@main.command()
@click.option("--as-of", type=day, help="The tenant-local day that the marts speak of (default: see docs/metrics.md).")
@click.option("--full-refresh", is_flag=True, help="Rebuild the event-level models from the raw tables.")
@click.option("--accept-release", is_flag=True, help="Publish although gate 3 refuses; recorded in the release.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Publish into a release of its own below this folder, of today or of the day --as-of; readers keep theirs.",
)
@click.option(
    "--test-all-history", is_flag=True, help="Test event-level models over all dates, not the recomputed ones."
)
@click.option("--retrain", is_flag=True, help="Fit the models of value and churn anew, although this month's stand.")
def run(  # noqa: PLR0913 - one for each option
    as_of: datetime | None,
    output: Path | None,
    *,
    full_refresh: bool,
    accept_release: bool,
    test_all_history: bool,
    retrain: bool,
) -> None:
    """Load new raw files, build and test the marts, publish a release."""
    last_today = (datetime.now(UTC) + EASTERNMOST).date()
    if as_of and as_of.date() > last_today:
        message = f"--as-of {as_of:%Y-%m-%d} lies in the future: today is {last_today} at the latest"
        raise click.UsageError(message)
    parameters = Parameters(
        as_of.date() if as_of else None,
        full_refresh,
        accept_release,
        output.absolute() if output else None,
        test_all_history,
        retrain,
    )
    home = prepare()
    with exclusive(home, "warehouse run"):
        code = run_job(home, parameters)
    sys.exit(code)


@main.command()
@click.option("--from", "from_date", type=day, required=True, help="First local date.")
@click.option("--to", "to_date", type=day, required=True, help="Last local date, included.")
def backfill(from_date: datetime, to_date: datetime) -> None:
    """Recompute a range of local dates of all tenants from the raw tables, then run."""
    if to_date < from_date:
        message = f"--to {to_date:%Y-%m-%d} lies before --from {from_date:%Y-%m-%d}"
        raise click.UsageError(message)
    home = prepare()
    with exclusive(home, "warehouse backfill"):
        with home.connect() as con:
            load.create_raw_tables(con)
            ledger.request_recompute(con, from_date.date(), to_date.date(), cause="backfill")
        code = run_job(home, Parameters())
    sys.exit(code)


@main.command()
def demo() -> None:
    """Load real sample data and three generated tenants, publish a release, and show what to look at."""
    from orchestration import sample_data

    home = prepare()
    with exclusive(home, "warehouse demo"):
        if not any((home.raw / "events").rglob("*.parquet")):
            say("sample  writing Complete Journey (real, 2,469 households) and three generated tenants")
            sample_data.write_complete_journey(home.raw)
            sample_data.generate(home.raw, events=300_000, truth_dir=home.path / "sample_truth")
        code = run_job(home, Parameters())
    if code in (DONE, PARTLY_DONE):
        show_summary(home)
    sys.exit(code if code == FAILED else DONE)


def show_summary(home: Home) -> None:
    """Print who the customers of the current release are, and where to look next."""
    with release.read_release(home.path) as con:
        totals = con.execute(
            """
            select
                user_id,
                as_of_date,
                (select count(*) from marts.customers where customers.user_id = data_as_of.user_id),
                (
                    select count(*) from marts.orders
                    where orders.user_id = data_as_of.user_id and not orders.is_unmatched_refund
                ),
                (select sum(net_amount) from marts.orders where orders.user_id = data_as_of.user_id),
                coalesce(currency, '')
            from marts.data_as_of
            order by user_id
            """
        ).fetchall()
        segments = con.execute(
            """
            select segment, count(*) as customers, count(*) / sum(count(*)) over ()
            from marts.customer_segments
            group by segment
            order by customers desc, segment
            """
        ).fetchall()
    say(f"\n{'tenant':<20} {'as of':<12} {'customers':>10} {'orders':>10} {'net revenue':>18}")
    for user_id, as_of_date, customers, orders, revenue, currency in totals:
        say(f"{user_id:<20} {as_of_date!s:<12} {customers:>10,} {orders:>10,} {revenue or 0:>14,.2f} {currency:>3}")
    say(f"\n{'segment':<22} {'customers':>10} {'share':>7}")
    for segment, customers, share in segments:
        say(f"{segment:<22} {customers:>10,} {share:>7.1%}")
    published = home.path / "published" / "analytics.duckdb"
    say(
        f"""
The release: {published}
  {PROJECT_DIR.name}$ .venv/bin/python -c "import duckdb; \\
    duckdb.connect('{published}', read_only=True).sql('from marts.customer_rfm limit 10').show()"
Data-quality pages: {home.docs}/index.html
Next: drop your own files into {home.raw}/events/ and call `.venv/bin/warehouse run`;
  `.venv/bin/warehouse status` shows what came in, `make dev` opens the web UI."""
    )


@main.command()
def status() -> None:
    """Show the current release, what waits, what was refused and how the last run went."""
    home = Home(warehouse_home())
    current = release.current_release(home.path)
    if current is None:
        say(f"nothing is published in {home.path} yet: `warehouse demo`, or files under {home.raw} and `warehouse run`")
        return
    say(f"release {current.release_id} of {current.published_at:%Y-%m-%d %H:%M} UTC in {home.path / 'published'}")
    for tenant, as_of_date in sorted(current.as_of.items()):
        say(f"  {tenant:<20} as of {as_of_date}")
    with release.read_release(home.path) as con:
        files = con.execute(
            "select state, count(*), sum(row_count), sum(rejected_count), sum(duplicate_count) "
            "from marts.load_ledger group by state order by state"
        ).fetchall()
        refused = con.execute(
            """
            select path, reason from marts.load_ledger
            qualify state = 'refused' and row_number() over (partition by path order by file_id desc) = 1
            order by path
            """
        ).fetchall()
        pending = con.execute("select sum(pending_event_count) from marts.data_as_of").fetchone()[0]
        lines = [last_run_line(last_run.read(home)), *release_lines(con, current)]
    say("files")
    for state, count, rows, rejected, duplicates in files:
        bad = f"{rejected or 0:>10,} rejected {duplicates or 0:>10,} duplicate"
        say(f"  {state:<10} {count:>6} files {rows or 0:>14,} rows {bad}")
    for path, reason in refused:
        if (home.raw / path).exists():
            say(f"  refused {reason}")
    say(f"events after the as-of date, waiting: {pending or 0:,}")
    say(f"verified {verify.last_verification(home)}")
    for line in lines:
        say(line)


@main.command(name="verify")
@click.option("--sample", type=click.IntRange(min=1), help="Check that many random (tenant, date) pairs only.")
@click.option("--seed", type=int, help="Draw the sample of an earlier check again.")
def verify_command(sample: int | None, seed: int | None) -> None:
    """Prove that the marts equal a full rebuild from the same raw tables; name the first rows that differ."""
    if seed is not None and sample is None:
        message = "--seed repeats a sample: it goes with --sample"
        raise click.UsageError(message)
    verdict = verify.verify(prepare(), run_id=verify.new_run_id(), sample=sample, seed=seed)
    if verdict.drifted:
        click.echo(f"warehouse: {verdict.summary}", err=True)
        sys.exit(FAILED)
    say(f"verify  {verdict.summary}")


@main.command()
@click.argument("release_id", required=False)
def rollback(release_id: str | None) -> None:
    """Point the readers back to the release before, or to RELEASE_ID."""
    home = Home(warehouse_home())
    with exclusive(home, "warehouse rollback"):
        now_current = release.rollback(home.path, release_id)
    say(f"readers now see release {now_current.release_id}")


@main.command()
@click.option("--to", "directory", type=click.Path(path_type=Path), required=True, help="Folder to publish into.")
@click.option("--path-prefix", help="How clients will see that folder, when they mount it under another path.")
def publish(directory: Path, path_prefix: str | None) -> None:
    """Copy the current release into another folder, its views pointing to their files there."""
    copied = release.publish_to(Home(warehouse_home()).path, directory, path_prefix=path_prefix)
    say(f"release {copied.release_id} stands in {directory}")


@main.command()
def dev() -> None:
    """Copy the working warehouse for editing models: then `dbt build --target dev`."""
    home = prepare()
    copy = home.path / "dev.duckdb"
    with exclusive(home, "warehouse dev"):
        with home.connect() as con:
            load.create_raw_tables(con)
            # What is committed may still stand in the write-ahead log, which is not copied.
            con.execute("checkpoint")
        copy.with_suffix(".duckdb.wal").unlink(missing_ok=True)
        shutil.copyfile(home.database, copy)
    say(f"{copy} is yours: `dbt build --target dev --select my_model+` leaves the run's own warehouse alone")


main.add_command(segments_group)


@main.group(name="load")
def load_group() -> None:
    """List, accept, retry or replace raw files."""


@load_group.command(name="list")
def load_list() -> None:
    """List every file that was seen: state, rows, and why it was refused."""
    home = prepare()
    with exclusive(home, "warehouse load list"), home.connect() as con:
        files = load.list_loads(con)
    for file in files:
        bad = f"{file.rejected_count or 0:>8,} rejected {file.duplicate_count or 0:>8,} duplicate"
        counts = f"{file.row_count or 0:>12,} rows {bad}"
        reason = (file.reason or "").removeprefix(f"{file.path}: ")
        say(f"{file.state:<10} {counts}  {file.path}" + (f": {reason}" if reason else ""))


@load_group.command()
@click.argument("path")
def accept(path: str) -> None:
    """Load a refused file in spite of gate 1; recorded with the verdict that was overruled."""
    home = prepare()
    with exclusive(home, "warehouse load accept"), home.connect() as con:
        load.accept(con, home.raw, path, run_id="accept", loaded_at=ledger.utc_now(), on_progress=say)
    say("loaded; `warehouse run` publishes it")


@load_group.command()
@click.argument("path")
def retry(path: str) -> None:
    """Forget that a file was refused: the next run tries it again."""
    home = prepare()
    with exclusive(home, "warehouse load retry"), home.connect() as con:
        load.retry(con, path)
    say("`warehouse run` tries it again")


@load_group.command()
@click.argument("path")
@click.option("--accept", is_flag=True, help="Although gate 1 refused to replace it by this content; recorded.")
def replace(path: str, *, accept: bool) -> None:
    """Withdraw what a path brought before and load what the file holds now."""
    home = prepare()
    with exclusive(home, "warehouse load replace"), home.connect() as con:
        report = load.replace(
            con,
            home.raw,
            path,
            run_id="replace",
            loaded_at=ledger.utc_now(),
            known_event_types=known_event_types(),
            docs_dir=home.docs,
            is_accepted=accept,
            on_progress=say,
        )
    for file in report.refused:
        advice = f"its former rows stay (to replace them in spite of this: `warehouse load replace {path} --accept`)"
        click.echo(f"warehouse: refused {file.reason}; {advice}", err=True)
    if report.refused:
        sys.exit(FAILED)
    say("replaced; `warehouse run` publishes it")


@load_group.command()
@click.argument("path")
def withdraw(path: str) -> None:
    """Take out what a path brought; the file itself is yours to remove, else the next run loads it anew."""
    home = prepare()
    with exclusive(home, "warehouse load withdraw"), home.connect() as con:
        load.withdraw(con, path, run_id="withdraw", loaded_at=ledger.utc_now())
    say("withdrawn; `warehouse run` publishes it")
    if (home.raw / path).exists():
        say(f"{path} still lies under raw/: take it away before that run, or it is loaded anew")


if __name__ == "__main__":
    main()
