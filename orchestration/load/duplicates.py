"""Duplicates: rows of a load that repeat an earlier row, and lines that a new version of a file lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestration.load.feeds import EVENTS
from orchestration.load.records import LIVE
from orchestration.load.sql import scalar, uuid_sql

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

    from orchestration.load.feeds import Feed
    from orchestration.load.files import RawFile


def number_identical_lines(con: Connection) -> None:
    """Give the n-th identical line without id of one file (n ≥ 2) an id of its own in load_keys.

    So they are all kept, and a file that repeats them, in whole or in part, adds nothing.
    """
    con.execute(f"""
        create or replace temp table later_copies as
        with repeated as (
            select file_id, event_id from load_keys
            where not has_source_id
            group by all having count(*) > 1
        ), numbered as (
            select file_id, record_number, event_id::varchar as content_id,
                (row_number() over (partition by file_id, event_id order by record_number))::varchar as copy
            from load_keys semi join repeated using (file_id, event_id)
            where not has_source_id
        )
        select file_id, record_number, {uuid_sql(["content_id", "copy"])} as event_id
        from numbered where copy <> '1'
    """)
    con.execute("""
        update load_keys set event_id = later_copies.event_id
        from later_copies
        where load_keys.file_id = later_copies.file_id and load_keys.record_number = later_copies.record_number
    """)


def find_event_duplicates(con: Connection) -> None:
    """Fill load_exceptions with the events of load_keys that are no winners, or whose id is not that of their content.

    The stored row of an id wins against any new one; among new ones the earlier file, then record, wins. Grouping finds
    the few repeated ids at a tenth of the cost of numbering all rows.
    """
    con.execute("""
        create or replace temp table load_exceptions as
        with stored as materialized (
            select event_id, file_id from raw.events where event_id in (select event_id from load_keys)
        ), repeated as (
            select event_id from load_keys group by event_id having count(*) > 1
        ), rivals as (
            select * from load_keys
            where event_id in (select event_id from repeated union all select event_id from stored)
        ), ranked as (
            select rivals.file_id, rivals.record_number, rivals.event_id, stored.file_id as stored_file_id,
                first(rivals.file_id) over in_order as first_file_id, row_number() over in_order as place
            from rivals left join stored on rivals.event_id = stored.event_id
            window in_order as (partition by rivals.event_id order by rivals.file_id, rivals.record_number)
        ), losers as (
            select file_id, record_number, event_id, coalesce(stored_file_id, first_file_id) as winner_file_id
            from ranked where place > 1 or stored_file_id is not null
        )
        select *, true as is_duplicate from losers
        union all by name
        select *, false as is_duplicate from later_copies anti join losers using (file_id, record_number)
    """)


def judge_duplicates(con: Connection) -> None:
    """Fill load_duplicates with the events of load_losers, and whether each differs from the stored winner.

    Whole rows of winners are read of their files only.
    """
    first_file, last_file = con.execute("""
        select coalesce(min(winner_file_id), 0), coalesce(max(winner_file_id), 0) from load_exceptions
    """).fetchone()
    con.execute(f"""
        create or replace temp table load_duplicates as
        select losers.*, {differs("losers", "winners")} as is_conflict
        from load_losers as losers
        join raw.events as winners
            on losers.event_id = winners.event_id and winners.file_id between {first_file} and {last_file}
    """)


def differs(left: str, right: str) -> str:
    """Return SQL that says whether two events of one id differ in content."""
    sides = (f"({', '.join(f'{side}.{c}' for c in EVENTS.content)})" for side in (left, right))
    return " is distinct from ".join(sides)


def count_missing_lines(con: Connection, feed: Feed, file: RawFile) -> int:
    """Count what the former version of a path had and this one lacks, duplicates among it.

    Of events: lines of the former version. Of dimension feeds: keys that any former version had,
    less those that the former version lacked already: a changed row is no missing one.
    """
    former = con.execute(
        f"""select file_id, missing_line_count from raw.load_ledger
        where path = $path and {LIVE} order by file_id""",
        {"path": file.path},
    ).fetchall()
    if not former:
        return 0
    if feed.is_dimension:
        ids = ", ".join(str(file_id) for file_id, _ in former)
        key = ", ".join(feed.key)
        old = f"select {key} from {feed.table} where file_id in ({ids})"
        new = f"select {key} from {feed.table} where file_id = {file.file_id}"
        known = sum(missing for _, missing in former)
    else:
        old = " union ".join(
            f"select event_id from {table} where file_id = {former[-1][0]}"
            for table in ("raw.events", "raw.duplicate_events")
        )
        new = f"select event_id from load_keys where file_id = {file.file_id}"
        known = 0
    return max(0, scalar(con, f"select count(*) from ({old} except {new})") - known)
