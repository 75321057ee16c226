"""Sampling: a few tenants and dates of the incremental models, recomputed by the code of a run with late events."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from orchestration.release.sql import identifier

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import duckdb

    from orchestration.verify.comparing import Table, TenantDate


def draw(con: duckdb.DuckDBPyConnection, tables: Sequence[Table], size: int, seed: int) -> list[TenantDate]:
    """Draw tenants and dates from all that the raw events or the incremental models have; a seed draws the same again.

    Raw events are taken by their UTC date: near enough to draw from, and no row is parsed for it.
    """
    dates = " union ".join(
        [
            "select user_id, cast(created_at as date) as event_date from working.raw.events",
            *(
                f"select user_id, {identifier(table.date_column)} from working.{identifier(table.schema)}.{table.name}"
                for table in tables
            ),
        ]
    )
    return con.execute(
        f"""
        select user_id, event_date from ({dates})
        order by md5(concat_ws('|', $seed, event_date, user_id)), user_id, event_date
        limit $size
        """,
        {"seed": str(seed), "size": size},
    ).fetchall()


def computed_dates(drawn: Collection[TenantDate]) -> set[TenantDate]:
    """Return the dates to compute: a session day takes events of two local dates."""
    return {(user_id, date + timedelta(days=shift)) for user_id, date in drawn for shift in (0, 1)}


def complete_session_dates(computed: Collection[TenantDate]) -> set[TenantDate]:
    """Return the session days all of whose events are computed: the small hours of the next date belong to them."""
    dates = set(computed)
    return {(user_id, date) for user_id, date in dates if (user_id, date + timedelta(days=1)) in dates}


def ask_for(con: duckdb.DuckDBPyConnection, tables: Sequence[Table], dates: Collection[TenantDate]) -> None:
    """Make of the scratch database one whose next run recomputes these dates and nothing else.

    Its events are those that may lie on them (a local date lies within a day of the UTC date): no other is read.
    """
    con.execute("drop view raw.recompute_requests")
    con.execute("create table raw.recompute_requests as from working.raw.recompute_requests limit 0")
    con.executemany(
        "insert into raw.recompute_requests by name select $user_id as user_id, $date as from_date, $date as to_date, "
        "'verify' as cause, 'pending' as state",
        [{"user_id": user_id, "date": date} for user_id, date in sorted(dates)],
    )
    con.execute("drop view raw.events")
    con.execute("""
        create table raw.events as
        select * from working.raw.events
        where (user_id, cast(created_at as date)) in (
            select user_id, cast(from_date + shift.days as date)
            from raw.recompute_requests
            cross join (values (-1), (0), (1)) as shift (days)
        )
    """)
    for table in tables:
        name = f"{identifier(table.schema)}.{identifier(table.name)}"
        con.execute(f"create schema if not exists {identifier(table.schema)}")
        con.execute(f"create table {name} as from working.{name} limit 0")
