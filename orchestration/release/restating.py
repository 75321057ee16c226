"""Restating: which published figures the next release changes, and why. Written before its marts are copied.

A cause is found, not proved: it is what happened to the tenant that can have changed the date. Nobody computes the
figures once for every load. The precedence, from what moves every date to what moves some:

1. `timezone changed`: other events lie on every date of the tenant.
2. `definition changed`: the models, macros or seeds that the figures are made from are not those of the release before;
   of a segment also: a version of it, or of the segment that it follows from, is another one, from its since on.
3. of a segment whose members people choose: `late assignments` of the nearest date up to the one in question, or
   `withdrawn file`: assignments were.
4. `erasure`, `withdrawn file`, `late events`: what touched the nearest date up to the one in question, because stocks
   (active customers, buyers to date) carry a change forward; on one date in this order, then the latest load. Nothing
   up to it, but something on the day after: a session of the small hours has gone on.
5. the same without dates (a withdrawn file of profiles or scores), then `late profiles`: a customers or organizations
   load, and `late predictions`: a load of scores, or customers scored once more; both may speak of any day.
6. `recomputed`: a backfill asked for it. 7. `unexplained`: none of these; the run says so loudly.
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
"""The mart whose published figures are watched, all customers of a tenant together."""
NO_FIGURES = ("id", "user_id", "segment_id", "date", "created_at", "revenue_share", "is_additive")
"""Its columns that are keys or speak of segments only; every other one is a figure."""
SEGMENTS_MART = "segment_performance"
"""The mart whose published figures of segments are watched."""
SEGMENT_FIGURES = ("member_count", "active_members", "revenue_generated")
SEGMENT_COLUMNS = {
    f"{SEGMENTS_MART}.segment_key",
    "segment_kpis.history_from",
    "customer_segments_v2.versions",
}
"""What a release must have for its segments to be compared: an older version published none of it."""


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
            $release_id as release_id, $former_id as previous_release_id, restated.*, cause, load_id,
            $restated_at as restated_at
        from restated join restated_causes as causes
            on restated.user_id = causes.user_id and restated.date = causes.date
            and restated.segment_key is not distinct from causes.segment_key
        order by restated.user_id, restated.segment_key nulls first, restated.date, figure
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
    _find_changes_of_tenants(con)
    _find_changes_of_segments(con)


def _find_changes_of_tenants(con: DuckDBPyConnection) -> None:
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
        select figures.user_id, null::varchar as segment_key, figures.* exclude (user_id)
        from figures join clocks using (user_id)
        where date <= last_date and old_value is distinct from new_value
    """, {"names": names})  # fmt: skip


def _find_changes_of_segments(con: DuckDBPyConnection) -> None:
    """Add to `restated` what is said otherwise of segments that the former release knows, on days of both histories."""
    if not _has_segments(con):
        return
    before, after = (
        f"[{', '.join(f'{side}.{figure}::double' for figure in SEGMENT_FIGURES)}]" for side in ("former_days", "days")
    )
    con.execute(f"""
        insert into restated by name
        with clocks as (
            select
                before.user_id, greatest(before.history_from, after.history_from) as first_date,
                least(before.as_of_date, after.as_of_date) as last_date
            from former.marts.segment_kpis as before left join marts.segment_kpis as after using (user_id)
        ), changed_days as (
            select user_id, segment_key, date, {before} as old_values, {after} as new_values
            from former.marts.{SEGMENTS_MART} as former_days
            full join marts.{SEGMENTS_MART} as days using (user_id, segment_key, date)
            where {before} is distinct from {after} and (user_id, segment_key) in (
                select (user_id, segment_key) from former.marts.customer_segments_v2
            )
        ), figures as (
            select
                user_id, segment_key, date, unnest($names) as figure, unnest(old_values) as old_value,
                unnest(new_values) as new_value
            from changed_days
        )
        select figures.* from figures join clocks using (user_id)
        where date between first_date and last_date and old_value is distinct from new_value
    """, {"names": list(SEGMENT_FIGURES)})  # fmt: skip


def _has_segments(con: DuckDBPyConnection) -> bool:
    found = con.execute(
        """
        select 1 from duckdb_columns()
        where schema_name = 'marts' and database_name in ('former', current_database())
            and list_contains($columns, table_name || '.' || column_name)
        """,
        {"columns": sorted(SEGMENT_COLUMNS)},
    ).fetchall()
    return len(found) == 2 * len(SEGMENT_COLUMNS)


def _figures(con: DuckDBPyConnection, catalog: str) -> set[str]:
    described = con.execute(f"describe select * from {catalog}marts.{FIGURES_MART}").fetchall()
    return {column for column, *_ in described} - set(NO_FIGURES)


def find_causes(con: DuckDBPyConnection, former_id: str, *, is_definition_changed: bool) -> None:
    """Make the temporary table `restated_causes`: cause and load of each tenant, segment and date in `restated`."""
    _find_news(con, former_id)
    _find_news_of_segments(con)
    con.execute(
        """
        create or replace temp table restated_causes as
        with restated_days as (
            select distinct user_id, segment_key, date from restated
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
            days.segment_key,
            days.date,
            case
                when zone_changes.user_id is not null then 'timezone changed'
                when $is_definition_changed or days.date >= changed_segments.since then 'definition changed'
                when choices.cause is not null then choices.cause
                else coalesce(
                    touches.cause, spills.cause, tenant_wide.cause,
                    case when backfills.from_date <= days.date + 1 then 'recomputed' end, 'unexplained'
                )
            end as cause,
            nullif(
                case
                    when zone_changes.user_id is not null then organization_loads.load_id
                    when $is_definition_changed or days.date >= changed_segments.since then null
                    when choices.cause is not null then choices.load_id
                    when touches.cause is not null then touches.load_id
                    when spills.cause is not null then spills.load_id
                    else tenant_wide.load_id
                end, 0
            ) as load_id
        from restated_days as days
        asof left join touches on days.user_id = touches.user_id and days.date >= touches.touched_date
        left join touches as spills on days.user_id = spills.user_id and days.date + 1 = spills.touched_date
        asof left join news_of_choices as choices
            on days.user_id = choices.user_id and days.segment_key = choices.segment_key
            and days.date >= choices.from_date
        left join changed_segments
            on days.user_id = changed_segments.user_id and days.segment_key = changed_segments.segment_key
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
        ), requests_by_tenant as (
            select
                tenants.user_id, requests.cause,
                case requests.cause when 'erasure' then 1 when 'withdrawn file' then 2 else 5 end as rank,
                requests.from_date, requests.to_date, withdrawn.load_id, null as feed
            from requests
            join (select distinct user_id from restated) as tenants
                on tenants.user_id = coalesce(requests.user_id, tenants.user_id)
            left join withdrawn on requests.cause = 'withdrawn file' and requests.path = withdrawn.path
        )
        from requests_by_tenant
        union all
        select user_id, 'late events', 3, event_date, event_date, load_id, 'events' from dates_of_events
        union all
        select user_id, 'late profiles', 3, null, null, load_id, feed from raw.tenant_loads
        where feed in ('customers', 'organizations') and load_id in (select load_id from new_loads)
        union all
        select user_id, 'late predictions', 4, null, null, load_id, feed from raw.tenant_loads
        where feed in ('churn_scores', 'ltv_predictions') and load_id in (select load_id from new_loads)
        union all
        select distinct user_id, 'late predictions', 4, null::date, null::date, null::integer, null
        from raw.prediction_recordings where not is_published
        union all
        -- Of what other feeds' rows said of customers, no dates are asked for.
        select user_id, cause, rank, null, null, load_id, null from requests_by_tenant where from_date > to_date
        """,
        {"former_id": former_id},
    )


def _find_news_of_segments(con: DuckDBPyConnection) -> None:
    """Make the temporary tables `changed_segments`, from when on, and `news_of_choices`: assignments, come and gone."""
    con.execute("create or replace temp table changed_segments (user_id varchar, segment_key varchar, since date)")
    con.execute("""
        create or replace temp table news_of_choices (
            user_id varchar, segment_key varchar, cause varchar, load_id integer, from_date date
        )
    """)
    if not con.execute("select 1 from restated where segment_key is not null limit 1").fetchone():
        return
    con.execute("""
        insert into changed_segments
        with versions as (
            select
                user_id, segment_key,
                unnest(from_json(versions, '[{"since": "DATE", "hash": "VARCHAR"}]'), recursive := true)
            from (
                select user_id, segment_key, versions from former.marts.customer_segments_v2
                union all
                select user_id, segment_key, versions from marts.customer_segments_v2
            )
        ), changed_versions as (
            select user_id, segment_key, since from versions
            group by user_id, segment_key, since, hash having count(*) = 1
        ), followers as (
            select user_id, segment_key, criteria ->> '$.all[0].subject' as subject_key from marts.customer_segments_v2
            where criteria ->> '$.all[0].field' = 'joined_segment'
        )
        select user_id, segment_key, min(since)
        from (
            from changed_versions
            union all
            select followers.user_id, followers.segment_key, changed_versions.since
            from followers join changed_versions
                on followers.user_id = changed_versions.user_id
                and followers.subject_key = changed_versions.segment_key
        )
        group by user_id, segment_key
    """)
    # Which dates withdrawn assignments had is known no more: their requests ask for none.
    con.execute("""
        insert into news_of_choices
        with choices as (
            select user_id, segment_key, 'late assignments' as cause, max(load_id) as load_id,
                assigned_date as from_date
            from intermediate.int_segment_assignments where load_id in (select load_id from new_loads)
            group by user_id, segment_key, assigned_date
            union all
            select news.user_id, segments.segment_key, news.cause, max(news.load_id), date '0001-01-01'
            from news join marts.customer_segments_v2 as segments using (user_id)
            where news.from_date > news.to_date and not segments.is_automatic
            group by news.user_id, segments.segment_key, news.cause
        )
        from choices
    """)
