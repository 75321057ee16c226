"""Versions of customers, organizations and assignments: rows that say nothing new about their key are set aside, whole.

They stand in `raw.duplicate_<feed>`, because what is new depends on the other versions: where one arrives late or is
withdrawn, a row that repeated it may be the version that counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestration.load.records import LIVE, write_tenant_loads
from orchestration.load.sql import literal, uuid_sql

if TYPE_CHECKING:
    from datetime import datetime

    from duckdb import DuckDBPyConnection as Connection

    from orchestration.load.feeds import Feed

_ORDER = "load_id, file_id, record_number"
_PLACE = "(file_id, record_number)"


def sort_out_versions(con: Connection, feed: Feed, keys: str, loaded_at: datetime) -> None:
    """Judge all versions of some keys (SQL) anew, and bring each row to the table where it belongs.

    A row with its own updated_at repeats an equal row of the same time; one without (it has its load's time) repeats
    the version before it, so that a value that comes back is a new version. Fills moved_versions with the rows that
    changed their place; `loaded_at` is the time of rows that are not in the ledger yet.
    """
    key = ", ".join(feed.key)
    content = uuid_sql([f"{name}::varchar" for name in feed.content])
    con.execute(f"""
        create or replace temp table moved_versions as
        with stored as (
            select *, false as was_repeated from {feed.table} where ({key}) in ({keys})
            union all by name
            select *, true as was_repeated from {feed.duplicates} where ({key}) in ({keys})
        ), versions as (
            select {key}, updated_at, load_id, file_id, record_number, was_repeated, {content} as content,
                updated_at = coalesce(files.loaded_at, {literal(loaded_at)}) as is_undated
            from stored
            left join (select file_id, load_id, loaded_at from raw.load_ledger) as files using (file_id, load_id)
        ), numbered as (
            select *, row_number() over (partition by {key}, content, updated_at order by {_ORDER}) as copy
            from versions
        ), judged as (
            select *, copy > 1 and not is_undated or is_undated and content = lag(content) over (
                partition by {key}, copy > 1 and not is_undated order by updated_at, {_ORDER}
            ) as is_repeated
            from numbered
        )
        select load_id, file_id, record_number, {key}, coalesce(is_repeated, false) as is_repeated
        from judged where coalesce(is_repeated, false) <> was_repeated
    """)
    for source, target, direction in (
        (feed.table, feed.duplicates, "is_repeated"),
        (feed.duplicates, feed.table, "not is_repeated"),
    ):
        moved = f"{_PLACE} in (select {_PLACE} from moved_versions where {direction})"
        con.execute(f"insert into {target} by name select * from {source} where {moved}")
        con.execute(f"delete from {source} where {moved}")


def correct_books(con: Connection, feed: Feed) -> None:
    """Count rows and tenants anew for the earlier loads whose versions moved."""
    con.execute("""
        update raw.load_ledger as ledger
        set kept_count = kept_count - gone, duplicate_count = duplicate_count + gone
        from (
            select file_id, count(*) filter (is_repeated) - count(*) filter (not is_repeated) as gone
            from moved_versions group by file_id
        ) as moves
        where ledger.file_id = moves.file_id
    """)
    loads = con.execute(f"""
        select load_id, max(loaded_at) from raw.load_ledger
        where load_id in (select load_id from moved_versions) and {LIVE} group by load_id
    """).fetchall()
    for load_id, loaded_at in loads:
        write_tenant_loads(con, feed, load_id, loaded_at)
