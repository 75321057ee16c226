"""Withdrawal: the rows of files go out again, and what they touched is asked to be computed anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestration.load.duplicates import differs
from orchestration.load.records import LIVE, write_tenant_loads
from orchestration.load.versions import correct_books, sort_out_versions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duckdb import DuckDBPyConnection as Connection

    from orchestration.load.feeds import Feed
    from orchestration.load.records import Job


def live_versions(con: Connection, path: str) -> list[int]:
    """Return the versions of a path whose rows are in the raw tables, by file id."""
    return [
        file_id
        for (file_id,) in con.execute(
            f"select file_id from raw.load_ledger where path = $path and {LIVE}", {"path": path}
        ).fetchall()
    ]


def withdraw_files(con: Connection, feed: Feed, file_ids: Sequence[int], job: Job, cause: str) -> None:
    """Take the rows of files out, ask for what they touched, and mark the files withdrawn.

    Files that were skipped as copies of these are forgotten, so that the next run reads them.
    """
    if not file_ids:
        return
    ids = ", ".join(map(str, file_ids))
    if feed.is_dimension:
        _withdraw_versions(con, feed, ids, job, cause)
    else:
        _withdraw_events(con, ids, job, cause)
    for table in ("raw.rejected_rows", "restricted.rejected_texts"):
        con.execute(f"delete from {table} where file_id in ({ids})")
    con.execute(
        f"""
        update raw.load_ledger set state = 'withdrawn', reason = $cause
        where file_id in ({ids}) or (state = 'skipped' and sha256 in (
            select sha256 from raw.load_ledger where file_id in ({ids})
        ))
        """,
        {"cause": cause},
    )
    _correct_tenant_loads(con, feed, ids)


def _withdraw_versions(con: Connection, feed: Feed, ids: str, job: Job, cause: str) -> None:
    """Take versions out; what repeated them takes their place. For an audit feed nothing is computed anew."""
    key = ", ".join(feed.key)
    con.execute(f"""
        create or replace temp table withdrawn_keys as
        select distinct {key} from {feed.table} where file_id in ({ids})
    """)
    # What is said about others says nothing of events: a range without days is a reason to build, no date is computed.
    dates = "date '1970-01-01', date '1969-12-31'" if feed.is_about_others else "null::date, null::date"
    con.execute(f"""
        create or replace temp table touched as
        select distinct user_id, dates.* from withdrawn_keys, (values ({dates})) as dates (from_date, to_date)
    """)
    for table in (feed.table, feed.duplicates):
        con.execute(f"delete from {table} where file_id in ({ids})")
    sort_out_versions(con, feed, f"select {key} from withdrawn_keys", job.loaded_at)
    correct_books(con, feed)
    if not feed.is_audit:
        request_recomputation(con, job, cause)


def _withdraw_events(con: Connection, ids: str, job: Job, cause: str) -> None:
    """Take events out; the first duplicate of each that another file holds takes its place.

    Asked for anew are the UTC dates of both, one day wider at each end: no local date lies further.
    """
    con.execute(f"delete from raw.duplicate_events where file_id in ({ids})")
    con.execute(f"""
        create or replace temp table promoted as
        select rowid as position, event_id, user_id, created_at, load_id, file_id
        from raw.duplicate_events
        where event_id in (select event_id from raw.events where file_id in ({ids}))
        qualify row_number() over (
            partition by event_id order by load_id, file_id, record_number
        ) = 1
    """)
    con.execute(f"""
        create or replace temp table touched as
        with dates as (
            select distinct user_id, created_at::date as utc_date from raw.events
            where file_id in ({ids})
            union
            select distinct user_id, created_at::date from promoted
        ), runs as (
            select *, utc_date - (row_number() over (
                partition by user_id order by utc_date
            ))::integer as run from dates
        )
        select user_id, min(utc_date) - 1 as from_date, max(utc_date) + 1 as to_date
        from runs group by user_id, run
    """)
    con.execute(f"delete from raw.events where file_id in ({ids})")
    con.execute("""
        insert into raw.events by name
        select * exclude (is_conflict) from raw.duplicate_events
        where rowid in (select position from promoted)
    """)
    con.execute("delete from raw.duplicate_events where rowid in (select position from promoted)")
    con.execute(f"""
        update raw.duplicate_events as duplicates
        set is_conflict = {differs("duplicates", "winners")}
        from raw.events as winners
        where winners.event_id = duplicates.event_id
            and winners.event_id in (select event_id from promoted)
    """)
    _correct_ledger_after_promotion(con)
    request_recomputation(con, job, cause)


def _correct_ledger_after_promotion(con: Connection) -> None:
    con.execute("""
        update raw.load_ledger as ledger
        set kept_count = kept_count + gained, duplicate_count = duplicate_count - gained
        from (select file_id, count(*) as gained from promoted group by file_id) as promotions
        where ledger.file_id = promotions.file_id
    """)
    con.execute(f"""
        update raw.load_ledger set conflict_count = (
            select count(*) from raw.duplicate_events as duplicates
            where duplicates.file_id = load_ledger.file_id and is_conflict
        )
        where {LIVE} and feed = 'events' and duplicate_count + conflict_count > 0
    """)


def _correct_tenant_loads(con: Connection, feed: Feed, ids: str) -> None:
    """Write anew the tenants of the loads that lost or gained rows."""
    promoted = "" if feed.is_dimension else "union select load_id from promoted"
    loads = con.execute(f"""
        select load_id, max(loaded_at) from raw.load_ledger
        where load_id in (
            select load_id from raw.load_ledger where file_id in ({ids}) {promoted}
        ) group by load_id
    """).fetchall()
    for load_id, loaded_at in loads:
        write_tenant_loads(con, feed, load_id, loaded_at)


def request_recomputation(con: Connection, job: Job, cause: str) -> None:
    """Write a request for each row of the temporary table `touched`."""
    con.execute(
        """
        insert into raw.recompute_requests by name
        select (select coalesce(max(request_id), 0) from raw.recompute_requests)
                + row_number() over (order by user_id, from_date) as request_id,
            *, $cause as cause, 'pending' as state, $run_id as run_id
        from touched
        """,
        {"cause": cause, "run_id": job.run_id},
    )
