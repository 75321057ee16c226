"""Which marts are published, and which of their files are written or linked."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from orchestration.release.records import MARTS_SCHEMA, RESTRICTED_SCHEMA, Mart
from orchestration.release.sql import identifier

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import date

    from duckdb import DuckDBPyConnection

    from orchestration.quality.release_gate import Clock
    from orchestration.release.records import DatedFile, Release

ROWS_BY_DAY = 1_000_000
"""Rows from which on a recent month is written day by day: sorting and writing 4 M events again costs 10 s a run."""
RECENT_MONTHS = 2
"""Months that may be written by day; older ones, which late rows seldom touch, are one file each."""


@dataclass(frozen=True)
class Rows:
    """The rows of a date or period; `content` is a hash over them, of marts that are compared by content."""

    count: int
    content: int | None = None


@dataclass(frozen=True)
class Plan:
    """What to do with each period of a mart that is published by date."""

    write: dict[str, Rows]
    link: dict[str, DatedFile]
    corrected: list[str] = field(default_factory=list)


def public_marts(manifest: Mapping[str, Any]) -> list[Mart]:
    """Return the public models of models/marts in schema `marts`, by name, from dbt's manifest."""
    return [
        Mart(
            name=_name(node),
            relation=_relation(node),
            date_column=_meta(node).get("published_by"),
            is_compared=_meta(node).get("published_when") == "changed",
        )
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
    return f"{identifier(node['schema'])}.{identifier(_name(node))}"


def _meta(node: Mapping[str, Any]) -> Mapping[str, Any]:
    return node["config"].get("meta") or node.get("meta") or {}


def reason_to_rewrite(con: DuckDBPyConnection, newest: Release | None, code_checksum: str) -> str | None:
    """Return why no file of the newest release may be reused, or None if untouched ones may.

    The pending loads say what changed since the last release that this warehouse recorded. That is
    the newest one, or the one before it if a crash came between its swap and its record; any other
    release belongs to another past.
    """
    if newest is None:
        return "there is no former release"
    if newest.code_checksum != code_checksum:
        return "the code has changed"
    # The order of rows, not of times: the machine's clock may have been set back.
    recorded = con.execute("select arg_max(release_id, rowid) from raw.releases").fetchone()[0]
    if recorded not in (newest.release_id, newest.follows):
        return f"the warehouse last published {recorded}, not {newest.release_id}"
    refreshes = con.execute(
        """
        select count(*) from raw.run_ledger
        where is_full_refresh
            and rowid > (select coalesce(max(rowid), -1) from raw.run_ledger where run_id = $run_id)
        """,
        {"run_id": newest.run_id},
    ).fetchone()[0]
    return "there was a full refresh" if refreshes else None


def missed_days(before: Mapping[str, date], clocks: Mapping[str, Clock]) -> dict[str, tuple[date, date]]:
    """Return the first and last day that no release spoke of, by live tenant: mornings without a run.

    `before` has the as-of dates of the former release. Nothing is lost by it: what was loaded decides what is computed,
    and daily rows have no gaps. A tenant that is not live moves with its events, not with the mornings.
    """
    return {
        tenant: (before[tenant] + timedelta(days=1), clock.as_of_date - timedelta(days=1))
        for tenant, clock in clocks.items()
        if clock.basis == "live"
        if tenant in before and clock.as_of_date - before[tenant] > timedelta(days=1)
    }


def touched_dates(con: DuckDBPyConnection, marts: Collection[Mart]) -> dict[str, set[date]]:
    """Return, by event-level mart, the dates on which rows may have changed since the pending loads came.

    A touched date d changes session days d - 1 and d: a session that began the day before may have
    gone on past midnight.
    """
    dates = {day for (day,) in con.execute("select distinct event_date from intermediate.int_touched_dates").fetchall()}
    session_dates = dates | {day - timedelta(days=1) for day in dates}
    return {
        mart.name: session_dates if mart.date_column == "session_date" else dates
        for mart in marts
        if mart.date_column and not mart.is_compared
    }


def periods_of(dates: Mapping[date, Rows]) -> dict[date, str]:
    """Return the period that each date belongs to: its month, or itself in a recent month of many rows."""
    months: dict[str, int] = defaultdict(int)
    for day, rows in dates.items():
        months[f"{day:%Y-%m}"] += rows.count
    by_day = {month for month in sorted(months)[-RECENT_MONTHS:] if months[month] >= ROWS_BY_DAY}
    return {day: day.isoformat() if f"{day:%Y-%m}" in by_day else f"{day:%Y-%m}" for day in dates}


def plan_files(
    mart: str,
    dates: Mapping[date, Rows],
    former: Mapping[str, DatedFile],
    touched: Collection[date] | None,
) -> Plan:
    """Decide which periods of a mart are written and which are linked.

    `dates` has the rows of every date that the warehouse holds: a period without any vanishes.
    `touched` None: nothing is known of dates, so a file is good when rows and content are the same.
    Else one that no touched date lies in is good; if its rows differ all the same, it is named.
    """
    periods = periods_of(dates)
    rows = _rows_by_period(dates, periods)
    is_touched = {periods.get(day, f"{day:%Y-%m}") for day in touched or ()}
    presumed = {period: former[period] for period in rows if period in former and period not in is_touched}
    link = {period: file for period, file in presumed.items() if _has(file, rows[period])}
    return Plan(
        write={period: found for period, found in rows.items() if period not in link},
        link=link,
        corrected=[
            f"{mart} {period}: {rows[period].count:,} rows, {file.rows:,} in the last release,"
            " though no pending load touched it"
            for period, file in presumed.items()
            if period not in link and touched is not None
        ],
    )


def _rows_by_period(dates: Mapping[date, Rows], periods: Mapping[date, str]) -> dict[str, Rows]:
    found: dict[str, Rows] = {}
    for day, rows in dates.items():
        sofar = found.get(periods[day], Rows(0, None if rows.content is None else 0))
        content = None if rows.content is None else sofar.content ^ rows.content
        found[periods[day]] = Rows(sofar.count + rows.count, content)
    return found


def _has(file: DatedFile, rows: Rows) -> bool:
    return file.rows == rows.count and file.content == (None if rows.content is None else str(rows.content))
