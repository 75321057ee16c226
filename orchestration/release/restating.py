"""Restating: which published figures the next release changes, and why. Written before its marts are copied.

A cause is found, not proved: it is what happened to the tenant that can have changed the date. Nobody computes the
figures once for every load. The precedence, from what moves every date to what moves some:

1. `timezone changed`: other events lie on every date of the tenant.
2. `definition changed`: the models, macros or seeds that the figures are made from are not those of the release before.
3. `erasure`, `withdrawn file`, `late events`: what touched the nearest date up to the one in question, because stocks
   (active customers, buyers to date) carry a change forward; on one date in this order, then the latest load. Nothing
   up to it, but something on the day after: a session of the small hours has gone on.
4. the same without dates (a withdrawn file of profiles), then `late profiles`: a customers or organizations load.
5. `recomputed`: a backfill asked for it. 6. `unexplained`: none of these; the run says so loudly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestration.release.records import Restated
from orchestration.release.sql import identifier, naive_utc

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from duckdb import DuckDBPyConnection

    from orchestration.release.records import Release

FIGURES_MART = "behavioral_analytics"
"""The mart whose published figures are watched."""
NO_FIGURES = ("id", "user_id", "segment_id", "date", "created_at")
"""Its columns that are keys; every other one is a figure."""


def restate(
    con: DuckDBPyConnection,
    former: Release,
    release_id: str,
    restated_at: datetime,
    *,
    is_definition_changed: bool,
) -> tuple[Restated, ...]:
    """Write what the marts say otherwise than catalog `former` into raw.restatements; return it by cause."""
    find_changes(con)
    if not con.execute("select 1 from restated limit 1").fetchone():
        return ()
    find_causes(con, former.release_id, is_definition_changed=is_definition_changed)
    con.execute(
        """
        insert into raw.restatements by name
        select
            $release_id as release_id, $former_id as previous_release_id, user_id, figure, cause, load_id,
            old_value, new_value, date, $restated_at as restated_at
        from restated join restated_causes using (user_id, date)
        order by user_id, date, figure
        """,
        {"release_id": release_id, "former_id": former.release_id, "restated_at": naive_utc(restated_at)},
    )
    by_cause = con.execute(
        """
        select cause, count(*), count(distinct (user_id, date)) from raw.restatements
        where release_id = $release_id group by cause order by count(*) desc, cause
        """,
        {"release_id": release_id},
    ).fetchall()
    return tuple(Restated(*row) for row in by_cause)


def sentences(restated: Sequence[Restated]) -> list[str]:
    """Return what people are told of restatements: how many by cause, and a warning where nothing explains them."""
    if not restated:
        return []
    causes = ", ".join(f"{item.cause}: {item.figures:,} figures on {item.dates:,} dates" for item in restated)
    lines = [f"restated what was published before ({causes}): marts.restatements"]
    if unexplained := [item for item in restated if item.cause == "unexplained"]:
        lines.append(
            f"WARNING: {unexplained[0].figures:,} published figures changed though no load, request, time zone or"
            " definition explains it: see docs/operations.md"
        )
    return lines


def forget(con: DuckDBPyConnection, published: Collection[str]) -> None:
    """Delete restatements of releases that nobody ever saw: neither recorded nor among `published`."""
    con.execute(
        """
        delete from raw.restatements
        where release_id not in (select release_id from raw.releases) and not list_contains($published, release_id)
        """,
        {"published": list(published)},
    )


def find_changes(con: DuckDBPyConnection) -> None:
    """Make the temporary table `restated`: figures of days that both releases speak of, if they differ."""
    former, ours = _figures(con, "former."), _figures(con, "")
    names = sorted(former | ours)
    # Compared as they are published: a figure that one of the releases does not have is null there.
    values = [
        [f"{side}.{identifier(name)}::double" if name in figures else "null::double" for name in names]
        for side, figures in (("former_days", former), ("days", ours))
    ]
    before, after = (f"[{', '.join(side)}]" for side in values)
    con.execute(f"""
        create or replace temp table restated as
        with clocks as (
            select
                before.user_id, least(before.as_of_date, coalesce(after.as_of_date, before.as_of_date)) as last_date
            from former.marts.data_as_of as before left join marts.data_as_of as after using (user_id)
        ), former_days as (
            select * from former.marts.{FIGURES_MART} where segment_id is null
        ), days as (
            select * from marts.{FIGURES_MART} where segment_id is null
        ), changed_days as (
            select user_id, date, {before} as old_values, {after} as new_values
            from former_days full join days using (user_id, date)
            where {before} is distinct from {after}
        ), figures as (
            select
                user_id, date, unnest($names) as figure, unnest(old_values) as old_value,
                unnest(new_values) as new_value
            from changed_days
        )
        select figures.* from figures join clocks using (user_id)
        where date <= last_date and old_value is distinct from new_value
    """, {"names": names})  # fmt: skip


def _figures(con: DuckDBPyConnection, catalog: str) -> set[str]:
    described = con.execute(f"describe select * from {catalog}marts.{FIGURES_MART}").fetchall()
    return {column for column, *_ in described} - set(NO_FIGURES)


def find_causes(con: DuckDBPyConnection, former_id: str, *, is_definition_changed: bool) -> None:
    """Make the temporary table `restated_causes`: cause and load of each tenant and date in `restated`."""
    _find_news(con, former_id)
    con.execute(
        """
        create or replace temp table restated_causes as
        with restated_days as (
            select distinct user_id, date from restated
        ), zone_changes as (
            select user_id
            from former.marts.data_as_of as before join marts.data_as_of as after using (user_id)
            where before.timezone is distinct from after.timezone
        ), organization_loads as (
            select user_id, max(load_id) as load_id from news where cause = 'late profiles' and feed = 'organizations'
            group by user_id
        ), touches as (
            select
                user_id, touched_date, arg_min(cause, (rank, -load_id)) as cause,
                arg_min(load_id, (rank, -load_id)) as load_id
            from (
                select user_id, cause, rank, coalesce(load_id, 0) as load_id,
                    unnest(generate_series(from_date, to_date, interval 1 day))::date as touched_date
                from news
                where from_date is not null and cause <> 'recomputed'
            )
            group by user_id, touched_date
        ), tenant_wide as (
            select
                user_id, arg_min(cause, (rank, -coalesce(load_id, 0))) as cause,
                arg_min(coalesce(load_id, 0), (rank, -coalesce(load_id, 0))) as load_id
            from news where from_date is null group by user_id
        ), backfills as (
            select user_id, min(from_date) as from_date from news where cause = 'recomputed' group by user_id
        )
        select
            days.user_id,
            days.date,
            case
                when zone_changes.user_id is not null then 'timezone changed'
                when $is_definition_changed then 'definition changed'
                else coalesce(
                    touches.cause, spills.cause, tenant_wide.cause,
                    case when backfills.from_date <= days.date + 1 then 'recomputed' end, 'unexplained'
                )
            end as cause,
            nullif(
                case
                    when zone_changes.user_id is not null then organization_loads.load_id
                    when $is_definition_changed then null
                    when touches.cause is not null then touches.load_id
                    when spills.cause is not null then spills.load_id
                    else tenant_wide.load_id
                end, 0
            ) as load_id
        from restated_days as days
        asof left join touches on days.user_id = touches.user_id and days.date >= touches.touched_date
        left join touches as spills on days.user_id = spills.user_id and days.date + 1 = spills.touched_date
        left join zone_changes on days.user_id = zone_changes.user_id
        left join organization_loads on days.user_id = organization_loads.user_id
        left join tenant_wide on days.user_id = tenant_wide.user_id
        left join backfills on days.user_id = backfills.user_id
        """,
        {"is_definition_changed": is_definition_changed},
    )


def _find_news(con: DuckDBPyConnection, former_id: str) -> None:
    """Make the temporary table `news`: what happened since the former release, by tenant; null dates mean all.

    These are the pending loads and requests, and after a rollback also those that a later release brought.
    """
    con.execute("""
        create or replace temp table new_loads as
        select distinct load_id from raw.load_ledger
        where state in ('pending', 'published') and load_id not in (
            select load_id from former.marts.load_ledger where state = 'published'
        )
    """)
    con.execute(
        """
        create or replace temp table news as
        with requests as (
            select
                user_id, from_date, to_date,
                case
                    when starts_with(cause, 'erasure') then 'erasure'
                    when starts_with(cause, 'withdrawn') or starts_with(cause, 'replaced') then 'withdrawn file'
                    else 'recomputed'
                end as cause,
                split_part(cause, ': ', 2) as path
            from raw.recompute_requests
            where state = 'pending' or release_id > $former_id
        ), withdrawn as (
            select path, max(load_id) as load_id from raw.load_ledger where state = 'withdrawn' group by path
        ), dates_of_events as (
            -- Events are stored in the order of their loads: the lower bound lets the engine skip what came before.
            select user_id, event_date, max(load_id) as load_id
            from staging.stg_events
            where load_id >= (select min(load_id) from new_loads) and load_id in (select load_id from new_loads)
            group by user_id, event_date
        )
        select
            tenants.user_id, requests.cause,
            case requests.cause when 'erasure' then 1 when 'withdrawn file' then 2 else 4 end as rank,
            requests.from_date, requests.to_date, withdrawn.load_id, null as feed
        from requests
        join (select distinct user_id from restated) as tenants
            on tenants.user_id = coalesce(requests.user_id, tenants.user_id)
        left join withdrawn on requests.cause = 'withdrawn file' and requests.path = withdrawn.path
        union all
        select user_id, 'late events', 3, event_date, event_date, load_id, 'events' from dates_of_events
        union all
        select user_id, 'late profiles', 3, null, null, load_id, feed from raw.tenant_loads
        where feed <> 'events' and load_id in (select load_id from new_loads)
        """,
        {"former_id": former_id},
    )
