"""Publishing: a release is built, judged by gate 3, pointed to and recorded."""

from __future__ import annotations

import logging
import shutil
from contextlib import contextmanager, suppress
from datetime import UTC
from typing import TYPE_CHECKING, Any

import duckdb

from orchestration import evaluations, predictions
from orchestration.home import checksum_of
from orchestration.quality import release_gate
from orchestration.quality.release_gate import Comparison, Verdict, judge
from orchestration.release.building import Builder, require_built
from orchestration.release.folders import (
    current_release,
    new_release_id,
    newest_release,
    point_current,
    published_folder,
    release_folder,
    remove_leftovers,
    retire,
    write_text,
)
from orchestration.release.planning import missed_days, public_marts, reason_to_rewrite, restricted_models
from orchestration.release.records import (
    ANALYTICS,
    RECORD,
    GateRecord,
    GateRefused,
    Release,
    ReleaseError,
    ReleaseReport,
)
from orchestration.release.restating import FIGURES_MART, SEGMENTS_MART, forget, restate
from orchestration.release.sql import WRITE_FILES_ITSELF, literal, naive_utc

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from duckdb import DuckDBPyConnection

    from orchestration.release.records import Restated

log = logging.getLogger(__name__)


def publish(  # noqa: PLR0913 - the run's settings, by name
    warehouse: Path,
    home: Path,
    manifest: Mapping[str, Any],
    *,
    run_id: str,
    published_at: datetime,
    code_checksum: str,
    accept: bool = False,
    rewrite_all: bool = False,
    docs_dir: Path | None = None,
    config: Mapping[str, str] | None = None,
) -> ReleaseReport:
    """Build a release from the warehouse, judge it, point the readers to it and record it.

    `manifest` is dbt's target/manifest.json; a naive `published_at` is UTC. `accept` overrides what
    gate 3 refuses and is recorded; `rewrite_all` reuses no file of the last release; `config` is
    DuckDB's for the warehouse, such as its memory limit.

    Loads count as published only after the swap. A crash between the two leaves them pending, and
    the next run does the same dates once more.

    Raises GateRefused when gate 3 refuses, ReleaseError when a public mart has not been built.
    """
    releases = published_folder(home) / "releases"
    with connection(warehouse, config) as con:
        # Only now, because whoever holds the warehouse is the only one that builds releases.
        remove_leftovers(releases)
        newest, former = newest_release(releases), current_release(home)
        reason = "it was asked for" if rewrite_all else None
        reason = reason or reason_to_rewrite(con, newest, code_checksum)
        moment = aware(published_at)
        release_id = new_release_id(moment, run_id, newest)
        watched = _watched(manifest)
        figures_checksum = checksum_of(manifest, watched) if watched else None
        with _forgotten_on_failure(con, former, watched), release_folder(releases, release_id) as folder:
            restated: tuple[Restated, ...] = ()
            require_built(con, marts := public_marts(manifest))
            if watched and former is not None:
                is_changed = _is_definition_changed(former, code_checksum, figures_checksum)
                with _attached_former(con, home, former, folder):
                    restated = restate(con, former, release_id, moment, is_definition_changed=is_changed)
            builder = Builder(con, folder, release_id, None if reason else newest)
            with builder.analytics():
                published = builder.build_marts(marts)
                verdict = _judge(con, home, former, builder, docs_dir)
                clocks = release_gate.read_clocks(con, "release", builder.marts)
            if verdict.refusals and not accept:
                raise GateRefused(verdict)
            builder.build_restricted(restricted_models(manifest))
            release = Release(
                release_id=release_id,
                run_id=run_id,
                published_at=moment,
                follows=newest.release_id if newest else None,
                code_checksum=code_checksum,
                as_of=builder.as_of,
                marts=published,
                gate=_gate_record(former, verdict),
                figures_checksum=figures_checksum,
            )
            write_text(folder / RECORD, release.to_json())
        point_current(home, release_id)
        _mark_published(con, release, former)
        retired = retire(releases, keep=release_id)
    return ReleaseReport(
        release=release,
        path=releases / release_id,
        verdict=verdict,
        rewrite_reason=reason,
        corrected=tuple(builder.corrected),
        retired=retired,
        restated=restated,
        missed=missed_days(former.as_of if former else {}, clocks),
    )


def _watched(manifest: Mapping[str, Any]) -> list[str]:
    """Return the models whose figures are watched, by unique id, where the project has them and a mart that tells."""
    models = {mart.name: mart for mart in public_marts(manifest)}
    if not {FIGURES_MART, "restatements"} <= models.keys():
        return []
    return [key for key, node in manifest["nodes"].items() if node["name"] in {FIGURES_MART, SEGMENTS_MART}]


def _is_definition_changed(former: Release, code_checksum: str, figures_checksum: str | None) -> bool:
    """Say whether the watched figures are made otherwise; a release of an older version knows its incremental code."""
    if former.figures_checksum is None:
        return former.code_checksum != code_checksum
    return former.figures_checksum != figures_checksum


@contextmanager
def _forgotten_on_failure(con: DuckDBPyConnection, former: Release | None, watched: list[str]) -> Iterator[None]:
    """Keep restatements of published releases only: what a killed run left goes first, what this one fails with, too.

    After a crash between the swap and its record, the release that readers see is in no record yet.
    """
    published = [former.release_id] if former else []
    if watched:
        forget(con, published)
    try:
        yield
    except BaseException:
        if watched:
            with suppress(duckdb.Error):
                forget(con, published)
        raise


@contextmanager
def connection(warehouse: Path, config: Mapping[str, str] | None) -> Iterator[DuckDBPyConnection]:
    """Open the working warehouse, which must exist already, in UTC."""
    if not warehouse.is_file():
        message = f"there is no warehouse at {warehouse}"
        raise ReleaseError(message)
    with duckdb.connect(warehouse, config=dict(config or {})) as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute(WRITE_FILES_ITSELF)
        yield con


def aware(moment: datetime) -> datetime:
    """Return a moment in UTC with its zone; one without a zone is UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _judge(
    con: DuckDBPyConnection,
    home: Path,
    former: Release | None,
    builder: Builder,
    docs_dir: Path | None,
) -> Verdict:
    """Compare the release being built with the one that readers have now."""
    if former is None:
        return Verdict()
    with _attached_former(con, home, former, builder.folder):
        lost_keys = release_gate.count_lost_keys(con, former.marts, builder.marts)
        comparison = Comparison(
            marts=release_gate.compare_marts(former.marts, builder.marts, lost_keys),
            tenants=release_gate.compare_tenants(
                release_gate.read_clocks(con, "former", former.marts),
                release_gate.read_clocks(con, "release", builder.marts),
            ),
            segments=release_gate.compare_segments(
                release_gate.count_segment_sizes(con, "former", former.marts),
                release_gate.count_segment_sizes(con, "release", builder.marts),
            ),
        )
    verdict = judge(comparison, docs_dir)
    for finding in (*verdict.refusals, *verdict.warnings):
        log.warning("%s", finding)
    return verdict


@contextmanager
def _attached_former(con: DuckDBPyConnection, home: Path, former: Release, scratch: Path) -> Iterator[None]:
    """Attach the former release's analytics.duckdb as `former`, or a copy of it.

    A client may have opened the file for writing: its lock must not stop the nightly run.
    """
    path = published_folder(home) / "releases" / former.release_id / ANALYTICS
    copy = scratch / "former.duckdb"
    try:
        con.execute(f"attach {literal(path)} as former (read_only)")
    except duckdb.Error:
        shutil.copyfile(path, copy)
        con.execute(f"attach {literal(copy)} as former (read_only)")
    try:
        yield
    finally:
        con.execute("detach former")
        copy.unlink(missing_ok=True)


def _gate_record(former: Release | None, verdict: Verdict) -> GateRecord:
    if former is None:
        return GateRecord("first")
    outcome = "accepted" if verdict.refusals else "passed"
    return GateRecord(outcome, verdict.refusals, verdict.warnings)


def _mark_published(con: DuckDBPyConnection, release: Release, former: Release | None) -> None:
    """Record in one transaction that the release holds all that was pending.

    The former one is recorded, too, if a crash came between its swap and its record.
    """
    con.execute("begin")
    con.execute("update raw.load_ledger set state = 'published' where state = 'pending'")
    con.execute(
        "update raw.recompute_requests set state = 'published', release_id = ? where state = 'pending'",
        [release.release_id],
    )
    evaluations.remember(con)
    predictions.remember(con)
    for published in (former, release):
        if published is not None:
            _record(con, published)
    con.execute("commit")


def _record(con: DuckDBPyConnection, release: Release) -> None:
    con.execute(
        """
        insert into raw.releases (
            release_id, run_id, published_at, as_of_date, code_checksum, is_accepted_by_hand,
            message
        )
        select $release_id, $run_id, $published_at, $as_of_date, $code_checksum, $is_accepted, $message
        where $release_id not in (select release_id from raw.releases)
        """,
        {
            "release_id": release.release_id,
            "run_id": release.run_id,
            "published_at": naive_utc(release.published_at),
            "as_of_date": max(release.as_of.values(), default=None),
            "code_checksum": release.code_checksum,
            "is_accepted": release.gate.outcome == "accepted",
            "message": "\n".join((*release.gate.refusals, *release.gate.warnings)) or None,
        },
    )
