"""Duplicates: rows of a load that repeat an earlier row, and lines that a new version of a file lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestration.load.feeds import EVENTS
from orchestration.load.records import LIVE
from orchestration.load.sql import literal, scalar, uuid_sql

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

    from orchestration.load.feeds import Feed
    from orchestration.load.files import RawFile
    from orchestration.load.records import Load


def number_identical_lines(con: Connection, load_id: int) -> None:
    """Give the n-th identical line without id of one file (n ≥ 2) an id of its own.

    So they are all kept, and a file that repeats them, in whole or in part, adds nothing.
    """
    con.execute(f"""
        create or replace temp table later_copies as
        with repeated as (
            select file_id, event_id from raw.events
            where load_id = {load_id} and source_event_id is null
            group by all having count(*) > 1
        )
        select events.rowid as position, events.event_id::varchar as content_id,
            (row_number() over (
                partition by events.file_id, events.event_id order by events.record_number
            ))::varchar as copy
        from raw.events semi join repeated
            on events.file_id = repeated.file_id and events.event_id = repeated.event_id
        where load_id = {load_id} and source_event_id is null
        qualify copy <> '1'
    """)
    con.execute(f"""
        update raw.events set event_id = {uuid_sql(["content_id", "copy"])}
        from later_copies where events.rowid = later_copies.position
    """)


def find_event_duplicates(con: Connection, load_id: int) -> None:
    """Fill load_duplicates with the rows of a load that lose against an earlier row of their id.

    Grouping finds the few repeated ids at a tenth of the cost of numbering all rows. The stored
    row of an id wins against any new one; among new ones the earlier file, then record, wins.
    Whole rows are read only to tell conflicts, and of the winners' files only.
    """
    # A day's ids pick the stored rows to look at in one pass; a load that is most of the table looks at all of them.
    is_small = scalar(con, f"select count(*) filter (load_id = {load_id}) * 2 < count(*) from raw.events")
    of_interest = f"load_id = {load_id} or event_id in (select event_id from raw.events where load_id = {load_id})"
    con.execute(f"""
        create or replace temp table losers as
        with candidates as {"materialized" if is_small else "not materialized"} (
            select rowid as position, event_id, load_id, file_id, record_number from raw.events
            where {of_interest if is_small else "true"}
        ), repeated as (
            select event_id from candidates group by event_id having count(*) > 1
        ), rivals as (
            select * from candidates where event_id in (select event_id from repeated)
        )
        select position, file_id, first(position) over in_order as winner,
            first(file_id) over in_order as winner_file_id
        from rivals
        window in_order as (partition by event_id order by load_id, file_id, record_number)
        qualify position <> winner and load_id = {load_id}
    """)
    first_file, last_file = con.execute("""
        select coalesce(min(winner_file_id), 0), coalesce(max(winner_file_id), 0) from losers
    """).fetchone()
    con.execute(f"""
        create or replace temp table load_duplicates as
        select losers.position, losers.file_id, {differs("events", "winners")} as is_conflict
        from losers
        join raw.events as events on events.rowid = losers.position and events.load_id = {load_id}
        join raw.events as winners on winners.rowid = losers.winner
            and winners.file_id between {first_file} and {last_file}
    """)


def differs(left: str, right: str) -> str:
    """Return SQL that says whether two events of one id differ in content."""
    sides = (f"({', '.join(f'{side}.{c}' for c in EVENTS.content)})" for side in (left, right))
    return " is distinct from ".join(sides)


def find_version_duplicates(con: Connection, feed: Feed, load: Load) -> None:
    """Fill load_duplicates with rows of a load that say nothing new about their key.

    A row with its own updated_at repeats an equal row of the same time; one without (it has the
    load's time) repeats the version before it, so that a value that comes back is a new version.
    """
    key = ", ".join(feed.key)
    content = uuid_sql([f"{name}::varchar" for name in feed.content])
    order = "load_id, file_id, record_number"
    con.execute(f"""
        create or replace temp table load_duplicates as
        with versions as (
            select rowid as position, {key}, updated_at, load_id, file_id, record_number,
                {content} as content, updated_at = {literal(load.job.loaded_at)} as is_undated
            from {feed.table}
            where ({key}) in (select ({key}) from {feed.table} where load_id = {load.load_id})
        ), numbered as (
            select *, row_number() over (
                partition by {key}, content, updated_at order by {order}
            ) as copy
            from versions
        ), dated_duplicates as (
            select position, file_id, load_id from numbered where copy > 1 and not is_undated
        ), undated_duplicates as (
            select position, file_id, load_id
            from numbered where copy = 1 or is_undated
            qualify is_undated and content = lag(content) over (
                partition by {key} order by updated_at, {order}
            )
        )
        select position, file_id, false as is_conflict
        from (from dated_duplicates union all from undated_duplicates)
        where load_id = {load.load_id}
    """)


def set_duplicates_aside(con: Connection, feed: Feed) -> None:
    """Take the found duplicates out of the feed's table; whole events wait in duplicate_events."""
    if not feed.is_dimension:
        con.execute("""
            insert into raw.duplicate_events by name
            select events.*, found.is_conflict
            from raw.events join load_duplicates as found on events.rowid = found.position
        """)
    con.execute(f"delete from {feed.table} where rowid in (select position from load_duplicates)")


def count_missing_lines(con: Connection, feed: Feed, file: RawFile) -> int:
    """Count what the former version of a path had and this one lacks, before duplicates leave.

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
        new = f"select event_id from raw.events where file_id = {file.file_id}"
        known = 0
    return max(0, scalar(con, f"select count(*) from ({old} except {new})") - known)
