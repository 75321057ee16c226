"""Gate 1: the facts of a load, which gate 1 judges inside the load's transaction."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace as changed
from datetime import timedelta
from typing import TYPE_CHECKING

from orchestration.load.records import LIVE
from orchestration.load.sql import by_file

if TYPE_CHECKING:
    from datetime import datetime

    from duckdb import DuckDBPyConnection as Connection

    from orchestration.load.feeds import Feed
    from orchestration.load.records import Counts, Load, Refusal
    from orchestration.quality.suites import GateResult, LoadFacts

HISTORY_LOADS = 30
"""How many former loads of a feed gate 1 compares with: a month of daily ones."""


def judge(con: Connection, feed: Feed, load: Load, counts: Counts, refused: dict[str, Refusal]) -> GateResult:
    """Ask gate 1 about a load inside its transaction."""
    from orchestration.quality.suites import judge_load  # it is slow to import

    return judge_load(_facts(con, feed, load, counts, refused), load.job.docs_dir)


def _facts(con: Connection, feed: Feed, load: Load, counts: Counts, refused: dict[str, Refusal]) -> LoadFacts:
    from orchestration.quality.suites import FileFacts, LoadFacts

    worst = _worst_rules(con) if counts.rejected else {}
    readable = [
        FileFacts(
            path=file.path,
            row_count=counts.rows[file.file_id],
            rejected_count=counts.rejected.get(file.file_id, 0),
            worst_rule=worst.get(file.file_id, ""),
        )
        for file in load.files
    ]
    unreadable = [FileFacts(path, problem=refusal.reason) for path, refusal in refused.items()]
    former = con.execute(
        f"""
        select load_id, any_value(loaded_at), sum(kept_count)::bigint from raw.load_ledger
        where feed = $feed and {LIVE} group by load_id order by load_id desc limit {HISTORY_LOADS}
        """,
        {"feed": feed.name},
    ).fetchall()
    facts = LoadFacts(
        feed=feed.name,
        files=(*readable, *unreadable),
        kept_count=sum(counts.kept.values()),
        # An act has no usual size.
        former_kept_counts=() if feed.is_audit else tuple(kept for _, _, kept in former),
    )
    if feed.is_dimension or not load.files:
        return facts
    return _with_event_facts(con, facts, load, {load_id: at for load_id, at, _ in former})


def _worst_rules(con: Connection) -> dict[int, str]:
    """Return the rule that rejected most rows of each file of the load under way."""
    return by_file(
        con,
        """
        select file_id, arg_max(rule, (n, rule)) from (
            select rejected.file_id, rejected.rule, count(*) as n
            from raw.rejected_rows as rejected
            where rejected.file_id in (select file_id from load_rejects)
            group by all
        ) group by file_id
        """,
    )


def _with_event_facts(con: Connection, facts: LoadFacts, load: Load, former_times: dict[int, datetime]) -> LoadFacts:
    """Add counts by event type and the age of the newest event, of this load and former ones."""
    ids = ", ".join(map(str, (load.load_id, *former_times)))
    rows = con.execute(f"""
        select load_id, event_type, count(*), max(created_at) from raw.events
        where load_id in ({ids}) group by load_id, event_type
    """).fetchall()
    times = {**former_times, load.load_id: load.job.loaded_at}
    here, formerly = Counter(), Counter()
    newest: dict[int, datetime] = {}
    for load_id, event_type, count, last in rows:
        (here if load_id == load.load_id else formerly)[event_type] += count
        newest[load_id] = max(last, newest.get(load_id, last))
    ages = {load_id: (times[load_id] - last) / timedelta(days=1) for load_id, last in newest.items()}
    return changed(
        facts,
        newest_event_age_days=ages.pop(load.load_id, None),
        former_newest_event_ages_days=tuple(ages.values()),
        event_types=dict(here),
        former_event_types=dict(formerly),
        known_event_types=load.job.known_event_types,
    )
