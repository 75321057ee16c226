"""Which marts are published, and which of their months are written or linked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestration.release.records import MARTS_SCHEMA, RESTRICTED_SCHEMA, Mart
from orchestration.release.sql import identifier

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from duckdb import DuckDBPyConnection

    from orchestration.release.records import MonthFile, Release

MartMonth = tuple[str, str]
"""A mart and a month of it, as YYYY-MM."""


@dataclass(frozen=True)
class Plan:
    """What to do with each month of an event-level mart."""

    write: dict[str, int]
    link: dict[str, MonthFile]
    corrected: list[str] = field(default_factory=list)


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
    return f"{identifier(node['schema'])}.{identifier(_name(node))}"


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
) -> Plan:
    """Decide which months of a mart are written and which are linked; `touched` None means all.

    `counts` has the rows of every month that the warehouse holds: a month that is not in it
    vanishes. A month presumed unchanged whose count differs from its file's is written, and named.
    """
    if touched is None:
        return Plan(write=dict(counts), link={})
    untouched = {m: former[m] for m in counts if m in former and (mart, m) not in touched}
    link = {m: file for m, file in untouched.items() if file.rows == counts[m]}
    return Plan(
        write={month: rows for month, rows in counts.items() if month not in link},
        link=link,
        corrected=[
            f"{mart} {month}: {counts[month]:,} rows, {file.rows:,} in the last release,"
            " though no pending load touched it"
            for month, file in untouched.items()
            if month not in link
        ],
    )
