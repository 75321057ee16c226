"""Releases: what readers see, complete folders that are never written again.

    published/
      releases/<release_id>/     analytics.duckdb  restricted.duckdb  parquet/<mart>/<month>.parquet
                                 release.json
      current                    → releases/<release_id>, swapped by one rename
      analytics.duckdb  restricted.duckdb  parquet      → through current

`analytics.duckdb` holds the small marts as tables and the event-level marts as views over the
Parquet files of its own release, so whoever has it open stays within one release. A month that no
pending load touched is a hard link to the last release's file: publishing costs the day, not the
history. `restricted.duckdb` holds contacts, for exports only.

A release is built under `releases/.building-…`, judged by gate 3, renamed, and only then pointed
to. A crash at any moment leaves the last release in place; the next publish clears the leftovers.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

import duckdb

from orchestration.quality import release_gate
from orchestration.quality.release_gate import Comparison, Verdict, judge, tenant_column

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from duckdb import DuckDBPyConnection

log = logging.getLogger(__name__)

RELEASES_KEPT = 5
"""Releases that stay: a reader may hold an old one open this many runs long."""

STORAGE_VERSION = "v1.2.0"
"""Newest storage format that DuckDB 1.4 and 1.5 still read."""

MARTS_SCHEMA = "marts"
RESTRICTED_SCHEMA = "restricted"
ANALYTICS = "analytics.duckdb"
RESTRICTED = "restricted.duckdb"
PARQUET = "parquet"
RECORD = "release.json"
STAMP_FORMAT = "%Y%m%dT%H%M%SZ"

MartMonth = tuple[str, str]
"""A mart and a month of it, as YYYY-MM."""


class ReleaseError(RuntimeError):
    """A release cannot be built, found or copied."""


class GateRefused(ReleaseError):  # noqa: N818 - reads as what happened
    """Gate 3 refused the release; the last one stands."""

    def __init__(self, verdict: Verdict) -> None:
        """Name every refusal: table, rule and how many rows."""
        self.verdict = verdict
        findings = "\n".join(f"  {finding}" for finding in verdict.refusals)
        super().__init__(f"gate 3 refused the release, the last one stands:\n{findings}")


# What a release is made of


@dataclass(frozen=True)
class Mart:
    """A mart in the warehouse; one with a `date_column` is event-level."""

    name: str
    relation: str
    date_column: str | None = None


@dataclass(frozen=True)
class MonthFile:
    """One month of an event-level mart; `path` is relative to the release's folder."""

    month: str
    path: str
    rows: int
    size_bytes: int
    written_by: str
    """The release that wrote the file; (path, written_by) says which content it has."""


@dataclass(frozen=True)
class PublishedMart:
    """A mart in a release: a table of analytics.duckdb, or Parquet files under a view."""

    kind: Literal["table", "parquet"]
    rows: int
    columns: dict[str, str]
    files: tuple[MonthFile, ...] = ()


@dataclass(frozen=True)
class GateRecord:
    """How gate 3 judged; `accepted` means that a person overrode its refusals."""

    outcome: Literal["first", "passed", "accepted"]
    refusals: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Release:
    """The content of release.json; `follows` is the release whose files it could link to."""

    release_id: str
    run_id: str
    published_at: datetime
    follows: str | None
    code_checksum: str
    as_of: dict[str, date]
    marts: dict[str, PublishedMart]
    gate: GateRecord

    def to_json(self) -> str:
        """Return the release as the text of its release.json."""
        return json.dumps(asdict(self), indent=1, default=lambda moment: moment.isoformat())

    @classmethod
    def from_json(cls, text: str) -> Release:
        """Read what `to_json` wrote."""
        record = json.loads(text)
        return cls(
            **record
            | {
                "published_at": datetime.fromisoformat(record["published_at"]),
                "as_of": {t: date.fromisoformat(day) for t, day in record["as_of"].items()},
                "marts": {name: _mart_from(mart) for name, mart in record["marts"].items()},
                "gate": GateRecord(**{k: _tuple(v) for k, v in record["gate"].items()}),
            }
        )


@dataclass(frozen=True)
class ReleaseReport:
    """What a publish did."""

    release: Release
    path: Path
    verdict: Verdict
    rewrite_reason: str | None
    """Why every month was written anew, if it was."""
    corrected: tuple[str, ...]
    """Months that should not have changed but had: written anew."""
    retired: tuple[str, ...]
    """Releases that were removed because newer ones took their place."""

    @property
    def written(self) -> tuple[MonthFile, ...]:
        """Return the files that this release wrote."""
        files = _files_of(self.release)
        return tuple(f for f in files if f.written_by == self.release.release_id)

    @property
    def linked(self) -> tuple[MonthFile, ...]:
        """Return the files that it shares with the release before."""
        files = _files_of(self.release)
        return tuple(f for f in files if f.written_by != self.release.release_id)


@dataclass(frozen=True)
class _Plan:
    """What to do with each month of an event-level mart."""

    write: dict[str, int]
    link: dict[str, MonthFile]
    corrected: list[str] = field(default_factory=list)


def _mart_from(record: dict[str, Any]) -> PublishedMart:
    return PublishedMart(**record | {"files": tuple(MonthFile(**f) for f in record["files"])})


def _tuple(value: Any) -> Any:  # noqa: ANN401 - JSON has lists where the record has tuples
    return tuple(value) if isinstance(value, list) else value


# Which marts, which months


def public_marts(manifest: Mapping[str, Any]) -> list[Mart]:
    """Return the public models of models/marts in schema `marts`, by name, from dbt's manifest."""
    return [
        Mart(name=_name(node), relation=_relation(node), date_column=_date_column(node))
        for node in _models(manifest)
        if node["original_file_path"].startswith("models/marts/")
        if node["schema"] == MARTS_SCHEMA
        if (node["config"].get("access") or node.get("access")) == "public"
    ]


def restricted_models(manifest: Mapping[str, Any]) -> list[Mart]:
    """Return the models of schema `restricted`, by name: personal data that exports need."""
    return [
        Mart(name=_name(node), relation=_relation(node))
        for node in _models(manifest)
        if node["schema"] == RESTRICTED_SCHEMA
    ]


def _models(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    models = (n for n in manifest["nodes"].values() if n["resource_type"] == "model")
    return sorted(models, key=_name)


def _name(node: Mapping[str, Any]) -> str:
    return node.get("alias") or node["name"]


def _relation(node: Mapping[str, Any]) -> str:
    return f"{_identifier(node['schema'])}.{_identifier(_name(node))}"


def _date_column(node: Mapping[str, Any]) -> str | None:
    meta = node["config"].get("meta") or node.get("meta") or {}
    return meta.get("published_by")


def reason_to_rewrite(con: DuckDBPyConnection, newest: Release | None, code_checksum: str) -> str | None:
    """Return why no month of the newest release may be reused, or None if untouched ones may.

    The pending loads say what changed since the last release that this warehouse recorded. That is
    the newest one, or the one before it if a crash came between its swap and its record; any other
    release belongs to another past.
    """
    if newest is None:
        return "there is no former release"
    if newest.code_checksum != code_checksum:
        return "the code has changed"
    recorded = con.execute("select max(release_id) from raw.releases").fetchone()[0]
    if recorded not in (newest.release_id, newest.follows):
        return f"the warehouse last published {recorded}, not {newest.release_id}"
    refreshes = con.execute(
        "select count(*) from raw.run_ledger where is_full_refresh and started_at >= ?",
        [_naive(newest.published_at)],
    ).fetchone()[0]
    return "there was a full refresh" if refreshes else None


def touched_months(con: DuckDBPyConnection, marts: Collection[Mart]) -> set[MartMonth]:
    """Return the months in which rows may have changed since the loads in question were pending.

    A touched date d changes session days d - 1 and d: a session that began the day before may have
    gone on past midnight.
    """
    months = con.execute("""
        select distinct strftime(event_date, '%Y-%m'), strftime(event_date - 1, '%Y-%m')
        from intermediate.int_touched_dates
    """).fetchall()
    return {
        (mart.name, month)
        for mart in marts
        if mart.date_column
        for month_of_date, month_of_day_before in months
        for month in ((month_of_date, month_of_day_before) if mart.date_column == "session_date" else (month_of_date,))
    }


def plan_months(
    mart: str,
    counts: Mapping[str, int],
    former: Mapping[str, MonthFile],
    touched: Collection[MartMonth] | None,
) -> _Plan:
    """Decide which months of a mart are written and which are linked; `touched` None means all.

    `counts` has the rows of every month that the warehouse holds: a month that is not in it
    vanishes. A month presumed unchanged whose count differs from its file's is written, and named.
    """
    if touched is None:
        return _Plan(write=dict(counts), link={})
    untouched = {m: former[m] for m in counts if m in former and (mart, m) not in touched}
    link = {m: file for m, file in untouched.items() if file.rows == counts[m]}
    return _Plan(
        write={month: rows for month, rows in counts.items() if month not in link},
        link=link,
        corrected=[
            f"{mart} {month}: {counts[month]:,} rows, {file.rows:,} in the last release,"
            " though no pending load touched it"
            for month, file in untouched.items()
            if month not in link
        ],
    )


# Publishing


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
    releases = _published(home) / "releases"
    with _connection(warehouse, config) as con:
        # Only now, because whoever holds the warehouse is the only one that builds releases.
        _remove_leftovers(releases)
        newest, former = _newest(releases), current_release(home)
        reason = "it was asked for" if rewrite_all else None
        reason = reason or reason_to_rewrite(con, newest, code_checksum)
        moment = _aware(published_at)
        release_id = _release_id(moment, run_id, newest)
        with _building(releases, release_id) as folder:
            builder = _Builder(con, folder, release_id, None if reason else newest)
            with builder.analytics():
                marts = builder.build_marts(public_marts(manifest))
                verdict = _judge(con, home, former, builder, docs_dir)
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
                marts=marts,
                gate=_gate_record(former, verdict),
            )
            _write(folder / RECORD, release.to_json())
        _point_current(home, release_id)
        _mark_published(con, release)
        retired = _retire(releases, keep=release_id)
    return ReleaseReport(
        release=release,
        path=releases / release_id,
        verdict=verdict,
        rewrite_reason=reason,
        corrected=tuple(builder.corrected),
        retired=retired,
    )


class _Builder:
    """Writes the files of one release; catalog `release` is its analytics.duckdb."""

    def __init__(self, con: DuckDBPyConnection, folder: Path, release_id: str, reusable: Release | None) -> None:
        self.con = con
        self.folder = folder
        self.release_id = release_id
        self.reusable = reusable
        self.marts: dict[str, PublishedMart] = {}
        self.as_of: dict[str, date] = {}
        self.corrected: list[str] = []

    @contextmanager
    def analytics(self) -> Iterator[None]:
        """Attach a new analytics.duckdb; on leaving, it is checkpointed, closed and on disk."""
        with _attached(self.con, self.folder / ANALYTICS, "release", _STORAGE):
            self.con.execute(f"create schema release.{MARTS_SCHEMA}")
            yield
        _sync(self.folder / ANALYTICS)

    def build_marts(self, marts: Sequence[Mart]) -> dict[str, PublishedMart]:
        """Write every mart, and what the release says about its as-of dates."""
        _require_built(self.con, marts)
        touched = touched_months(self.con, marts) if self.reusable else None
        for mart in marts:
            started = time.perf_counter()
            is_event_level = mart.date_column is not None
            self.marts[mart.name] = self._build_event_mart(mart, touched) if is_event_level else self._copy(mart)
            self._tell(mart.name, time.perf_counter() - started)
        self._create_views()
        self.as_of = _as_of_dates(self.con, self.marts)
        return self.marts

    def build_restricted(self, models: Sequence[Mart]) -> None:
        """Write restricted.duckdb, readable by its owner only.

        Its tables stand in schema main, because a database named like one of its schemas makes
        every name in it ambiguous: so `restricted.customer_contacts` works wherever it is attached.
        """
        _require_built(self.con, models)
        path = self.folder / RESTRICTED
        with _attached(self.con, path, "contacts", _STORAGE):
            for model in models:
                _copy_table(self.con, model, f"contacts.{_identifier(model.name)}")
        path.chmod(0o600)
        _sync(path)

    def _copy(self, mart: Mart) -> PublishedMart:
        rows = _copy_table(self.con, mart, _in_release(mart.name))
        return PublishedMart("table", rows, _columns(self.con, mart.relation))

    def _build_event_mart(self, mart: Mart, touched: set[MartMonth] | None) -> PublishedMart:
        columns = _columns(self.con, mart.relation)
        (self.folder / PARQUET / mart.name).mkdir(parents=True)
        former = self._former_files(mart, columns)
        plan = plan_months(mart.name, _count_months(self.con, mart), former, touched)
        self.corrected += plan.corrected
        for finding in plan.corrected:
            log.warning("%s: written anew", finding)
        files = [self._link(file) for file in plan.link.values()]
        files += [self._write_month(mart, columns, *month) for month in plan.write.items()]
        # A view needs a file to take its columns from.
        files = files or [self._write_month(mart, columns, "empty", 0)]
        files.sort(key=lambda file: file.month)
        return PublishedMart("parquet", sum(f.rows for f in files), columns, tuple(files))

    def _former_files(self, mart: Mart, columns: dict[str, str]) -> dict[str, MonthFile]:
        """Return the last release's files that still have the mart's columns and are as written."""
        former = self.reusable.marts.get(mart.name) if self.reusable else None
        if former is None or list(former.columns.items()) != list(columns.items()):
            return {}
        return {
            file.month: file
            for file in former.files
            if (source := self._former_path(file)).is_file()
            if source.stat().st_size == file.size_bytes
        }

    def _former_path(self, file: MonthFile) -> Path:
        return self.folder.parent / self.reusable.release_id / file.path

    def _link(self, file: MonthFile) -> MonthFile:
        _link_or_copy(self._former_path(file), self.folder / file.path)
        return file

    def _write_month(self, mart: Mart, columns: dict[str, str], month: str, rows: int) -> MonthFile:
        relative = f"{PARQUET}/{mart.name}/{month}.parquet"
        path = self.folder / relative
        self.con.execute(f"""
            copy (
                select * from {mart.relation}
                where {_within_month(mart.date_column, month) if rows else "false"}
                {_order_by(columns, mart.date_column)}
            )
            to {_literal(path)} (format parquet, compression zstd)
        """)
        # Releases share the file, so nobody may write to it.
        path.chmod(0o444)
        _sync(path)
        return MonthFile(month, relative, rows, path.stat().st_size, self.release_id)

    def _create_views(self) -> None:
        """Create the views over the paths that the files will have.

        DuckDB reads a view's files when it is created: a symlink stands in for the folder.
        """
        final = self.folder.parent / self.release_id
        final.symlink_to(self.folder.name)
        try:
            for name, mart in self.marts.items():
                if mart.kind == "parquet":
                    _create_view(self.con, name, mart, _files_under(final, mart))
        finally:
            final.unlink()

    def _tell(self, name: str, seconds: float) -> None:
        mart = self.marts[name]
        written = sum(file.written_by == self.release_id for file in mart.files)
        log.info(
            "%s: %s rows%s in %.1f s",
            name,
            f"{mart.rows:,}",
            f", {written} of {len(mart.files)} months written" if mart.files else "",
            seconds,
        )


_STORAGE = f"(storage_version '{STORAGE_VERSION}')"


def _judge(
    con: DuckDBPyConnection,
    home: Path,
    former: Release | None,
    builder: _Builder,
    docs_dir: Path | None,
) -> Verdict:
    """Compare the release being built with the one that readers have now."""
    if former is None:
        return Verdict()
    with _attached_former(con, home, former, builder.folder):
        lost_keys = release_gate.count_lost_keys(con, former.marts, builder.marts)
        comparison = Comparison(
            marts=release_gate.compare_marts(former.marts, builder.marts, lost_keys),
            tenants=release_gate.compare_tenants(former.as_of, builder.as_of),
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
    path = _published(home) / "releases" / former.release_id / ANALYTICS
    copy = scratch / "former.duckdb"
    try:
        con.execute(f"attach {_literal(path)} as former (read_only)")
    except duckdb.Error:
        shutil.copyfile(path, copy)
        con.execute(f"attach {_literal(copy)} as former (read_only)")
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


def _mark_published(con: DuckDBPyConnection, release: Release) -> None:
    """Record in one transaction that the release holds all that was pending."""
    con.execute("begin")
    con.execute("update raw.load_ledger set state = 'published' where state = 'pending'")
    con.execute("update raw.recompute_requests set state = 'published' where state = 'pending'")
    con.execute(
        """
        insert into raw.releases (
            release_id, run_id, published_at, as_of_date, code_checksum, is_accepted_by_hand,
            message
        )
        values (?, ?, ?, ?, ?, ?, ?)
        """,
        [
            release.release_id,
            release.run_id,
            _naive(release.published_at),
            max(release.as_of.values(), default=None),
            release.code_checksum,
            release.gate.outcome == "accepted",
            "\n".join((*release.gate.refusals, *release.gate.warnings)) or None,
        ],
    )
    con.execute("commit")


# The folder of releases


def list_releases(home: Path) -> list[Release]:
    """Return the complete releases, oldest first."""
    return _releases_in(_published(home) / "releases")


def current_release(home: Path) -> Release | None:
    """Return the release that readers see, or None before the first."""
    record = _published(home) / "current" / RECORD
    return Release.from_json(record.read_text("utf-8")) if record.is_file() else None


def rollback(home: Path, release_id: str | None = None) -> Release:
    """Point the readers to a named release, or to the one before the current one, and return it.

    The warehouse stays as it is: the next publish goes on from there, and gate 3 compares it with
    the release that readers see then.
    """
    releases = {release.release_id: release for release in list_releases(home)}
    current = current_release(home)
    if release_id is None:
        older = [r for r in releases if current is not None and r < current.release_id]
        if not older:
            message = "there is no release before the current one"
            raise ReleaseError(message)
        release_id = older[-1]
    if release_id not in releases:
        message = f"there is no release {release_id!r}, only {', '.join(releases) or 'none'}"
        raise ReleaseError(message)
    _point_current(home, release_id)
    return releases[release_id]


@contextmanager
def read_release(home: Path, *, with_restricted: bool = False) -> Iterator[DuckDBPyConnection]:
    """Open the current release for reading, marts first; contacts in catalog `restricted`."""
    folder = (_published(home) / "current").resolve()
    if not (folder / ANALYTICS).is_file():
        message = "nothing has been published yet"
        raise ReleaseError(message)
    # The release's own path: within one process, DuckDB would serve an open one for the symlink's.
    with duckdb.connect(folder / ANALYTICS, read_only=True) as con:
        con.execute("set TimeZone = 'UTC'")
        if with_restricted:
            con.execute(f"attach {_literal(folder / RESTRICTED)} as restricted (read_only)")
        con.execute(f"use analytics.{MARTS_SCHEMA}")
        yield con


def publish_to(home: Path, directory: Path, *, path_prefix: str | None = None) -> Release:
    """Copy the current release to a directory for clients that cannot see this one.

    The directory gets `analytics.duckdb`, replaced by one rename, over
    `releases/<release_id>/parquet/…`; earlier copies stay as long as releases do here. Contacts are
    not copied. No symlinks, so any file system will do. `path_prefix` is where the clients see the
    directory, if elsewhere: a mount point or the address of an object store.
    """
    release, directory = current_release(home), directory.absolute()
    if release is None:
        message = "nothing has been published yet"
        raise ReleaseError(message)
    if directory.resolve().is_relative_to(_published(home).resolve()):
        message = f"{directory} lies within the published folder: copy to another place"
        raise ReleaseError(message)
    source = _published(home) / "releases" / release.release_id
    releases = directory / "releases"
    _remove_leftovers(releases)
    if not (releases / release.release_id).exists():
        with _building(releases, release.release_id) as folder:
            _copy_files(release, source, folder, _newest(releases))
    _copy_analytics(release, source / ANALYTICS, directory, path_prefix)
    _retire(releases, keep=release.release_id)
    return release


def _copy_files(release: Release, source: Path, folder: Path, last: Release | None) -> None:
    """Copy a release's Parquet files, linking those that the last copy there already has."""
    known = {
        (file.path, file.written_by): folder.parent / last.release_id / file.path
        for file in (_files_of(last) if last else ())
    }
    for file in _files_of(release):
        target = folder / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        if copied := known.get((file.path, file.written_by)):
            _link_or_copy(copied, target)
        else:
            _copy_file(source / file.path, target)
    _write(folder / RECORD, release.to_json())


def _copy_analytics(release: Release, source: Path, directory: Path, path_prefix: str | None) -> None:
    """Copy analytics.duckdb to a directory, with views over the files as its clients see them."""
    releases = directory / "releases"
    with (
        TemporaryDirectory(prefix=".building-", dir=releases) as scratch,
        duckdb.connect() as con,
    ):
        path = Path(scratch) / ANALYTICS
        shutil.copyfile(source, path)
        with _attached(con, path, "release"):
            for name, mart in release.marts.items():
                if mart.kind == "table":
                    continue
                if path_prefix is None:
                    files = _files_under(releases / release.release_id, mart)
                    _create_view(con, name, mart, files)
                else:
                    place = f"{path_prefix.rstrip('/')}/releases/{release.release_id}/{PARQUET}"
                    _create_distant_view(con, name, mart, f"{place}/{name}/*.parquet")
        _sync(path)
        path.replace(directory / ANALYTICS)
    _sync(directory)


def _published(home: Path) -> Path:
    return home.absolute() / "published"


def _releases_in(releases: Path) -> list[Release]:
    folders = (f for f in sorted(releases.glob("[!.]*")) if not f.is_symlink())
    records = (f / RECORD for f in folders)
    return [Release.from_json(r.read_text("utf-8")) for r in records if r.is_file()]


def _newest(releases: Path) -> Release | None:
    return max(_releases_in(releases), key=lambda r: r.release_id, default=None)


def _files_of(release: Release) -> Iterator[MonthFile]:
    return (file for mart in release.marts.values() for file in mart.files)


def _release_id(moment: datetime, run_id: str, newest: Release | None) -> str:
    """Return an id that sorts after the newest one, even when the clock was set back."""
    moment = moment.replace(microsecond=0)
    if newest is not None:
        stamp = newest.release_id.split("-")[0]
        last = datetime.strptime(stamp, STAMP_FORMAT).replace(tzinfo=UTC)
        moment = max(moment, last + timedelta(seconds=1))
    return f"{moment.strftime(STAMP_FORMAT)}-{re.sub('[^0-9A-Za-z]', '', run_id)[:8] or 'run'}"


@contextmanager
def _building(releases: Path, release_id: str) -> Iterator[Path]:
    """Give a private folder that becomes the release's when all went well, or else goes."""
    folder = releases / f".building-{release_id}"
    # Private, because contacts are written into it before their file has its mode.
    folder.mkdir(mode=0o700)
    try:
        yield folder
        for inner in (*(p for p in folder.rglob("*") if p.is_dir()), folder):
            _sync(inner)
        folder.chmod(0o755)
        folder.rename(releases / release_id)
        _sync(releases)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _remove_leftovers(releases: Path) -> None:
    """Remove what a crashed publish left: hidden folders and symlinks that stood in for them."""
    releases.mkdir(parents=True, exist_ok=True)
    for path in releases.iterdir():
        if path.is_symlink():
            path.unlink()
        elif path.name.startswith("."):
            shutil.rmtree(path)


def _retire(releases: Path, keep: str) -> tuple[str, ...]:
    """Remove all but the newest releases and `keep`; hidden first, so that none is seen in part."""
    ids = [release.release_id for release in _releases_in(releases)]
    retired = tuple(r for r in ids[:-RELEASES_KEPT] if r != keep)
    for release_id in retired:
        hidden = (releases / release_id).rename(releases / f".removing-{release_id}")
        shutil.rmtree(hidden)
    return retired


def _point_current(home: Path, release_id: str) -> None:
    """Swap the readers' symlinks to a release: one rename moves them all."""
    published = _published(home)
    for door in (ANALYTICS, RESTRICTED, PARQUET):
        _point(published / door, f"current/{door}")
    _point(published / "current", f"releases/{release_id}")
    _sync(published)


def _point(link: Path, target: str) -> None:
    if link.is_symlink() and link.readlink() == Path(target):
        return
    new = link.with_name(f".{link.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(link)


# SQL


@contextmanager
def _connection(warehouse: Path, config: Mapping[str, str] | None) -> Iterator[DuckDBPyConnection]:
    if not warehouse.is_file():
        message = f"there is no warehouse at {warehouse}"
        raise ReleaseError(message)
    with duckdb.connect(warehouse, config=dict(config or {})) as con:
        con.execute("set TimeZone = 'UTC'")
        yield con


@contextmanager
def _attached(con: DuckDBPyConnection, path: Path, alias: str, options: str = "") -> Iterator[None]:
    con.execute(f"attach {_literal(path)} as {alias} {options}")
    try:
        yield
    finally:
        con.execute(f"detach {alias}")


def _require_built(con: DuckDBPyConnection, marts: Sequence[Mart]) -> None:
    relations = con.execute("""
        select table_schema, table_name
        from information_schema.tables
        where table_catalog = current_database()
    """).fetchall()
    built = {".".join(map(_identifier, relation)) for relation in relations}
    if missing := [mart.name for mart in marts if mart.relation not in built]:
        message = f"not in the warehouse, so not publishable: {', '.join(missing)}"
        raise ReleaseError(message)


def _columns(con: DuckDBPyConnection, relation: str) -> dict[str, str]:
    described = con.execute(f"describe select * from {relation}").fetchall()
    return {column: data_type for column, data_type, *_ in described}


def _copy_table(con: DuckDBPyConnection, mart: Mart, target: str) -> int:
    """Copy a mart into a table sorted by its keys and return its rows."""
    # Loads that are still pending are published by the swap that makes this table readable.
    columns = (
        "* replace (case state when 'pending' then 'published' else state end as state)"
        if mart.name == "load_ledger"
        else "*"
    )
    order = _order_by(_columns(con, mart.relation))
    created = con.execute(f"create table {target} as select {columns} from {mart.relation} {order}")
    return created.fetchone()[0]


def _order_by(columns: Mapping[str, str], date_column: str | None = None) -> str:
    keys = ("user_id", "organization_id", "customer_id", date_column, "id")
    order = [_identifier(key) for key in keys if key in columns]
    return f"order by {', '.join(order)}" if order else ""


def _count_months(con: DuckDBPyConnection, mart: Mart) -> dict[str, int]:
    """Count a mart's rows by month; a row without a date would be in no file, so it is an error."""
    counts = con.execute(f"""
        select strftime(month, '%Y-%m'), row_count
        from (
            select date_trunc('month', {_identifier(mart.date_column)}) as month,
                count(*) as row_count
            from {mart.relation}
            group by month
        )
        order by month
    """).fetchall()
    months = dict(counts)
    if undated := months.get(None):
        message = f"{mart.name}: {undated:,} rows have no {mart.date_column}"
        raise ReleaseError(message)
    return months


def _within_month(date_column: str, month: str) -> str:
    first = date.fromisoformat(f"{month}-01")
    next_first = (first + timedelta(days=31)).replace(day=1)
    column = _identifier(date_column)
    return f"{column} >= date '{first}' and {column} < date '{next_first}'"


def _as_of_dates(con: DuckDBPyConnection, marts: Mapping[str, PublishedMart]) -> dict[str, date]:
    """Return the as-of date per tenant that the release's own data_as_of tells."""
    mart = marts.get("data_as_of")
    tenant = tenant_column(mart.columns) if mart else None
    if tenant is None:
        return {}
    dates = con.execute(f"""
        select {tenant}, max(as_of_date)
        from {_in_release("data_as_of")}
        where as_of_date is not null
        group by {tenant}
        order by {tenant}
    """).fetchall()
    return dict(dates)


def _files_under(folder: Path, mart: PublishedMart) -> list[Path]:
    return [folder / file.path for file in mart.files]


def _create_view(con: DuckDBPyConnection, name: str, mart: PublishedMart, files: Sequence[Path]) -> None:
    paths = ", ".join(map(_literal, files))
    con.execute(f"""
        create or replace view {_in_release(name)} as
        select {_column_list(mart)} from read_parquet([{paths}])
    """)


def _create_distant_view(con: DuckDBPyConnection, name: str, mart: PublishedMart, glob: str) -> None:
    """Create a view over files that only its readers can see.

    DuckDB checks a view when it is created. So the view selects from a table that is named like
    the files; once that is gone, DuckDB takes the name for what it is.
    """
    types = ", ".join(f"{_identifier(column)} {kind}" for column, kind in mart.columns.items())
    con.execute(f"create temp table {_identifier(glob)} ({types})")
    con.execute(f"""
        create or replace view {_in_release(name)} as
        select {_column_list(mart)} from {_identifier(glob)}
    """)
    con.execute(f"drop table temp.{_identifier(glob)}")


def _column_list(mart: PublishedMart) -> str:
    return ", ".join(map(_identifier, mart.columns))


def _in_release(name: str) -> str:
    return f"release.{MARTS_SCHEMA}.{_identifier(name)}"


def _identifier(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def _literal(path: Path) -> str:
    escaped = str(path).replace("'", "''")
    return f"'{escaped}'"


# Files and time


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:  # the file system has no hard links, or the file has its most
        _copy_file(source, target)


def _copy_file(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    target.chmod(0o444)
    _sync(target)


def _write(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")
    _sync(path)


def _sync(path: Path) -> None:
    """Force a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
