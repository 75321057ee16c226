"""Which dates' memberships the working tables hold, and by which definitions they were decided.

Like a load, an evaluation counts once it is published: `int_segment_dates` compares what it was decided by with what
would decide it now, and only dates that differ, and all after them, are evaluated again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestration.state import is_built

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DATES = "intermediate.int_segment_dates"


def remember(con: DuckDBPyConnection) -> None:
    """Record the dates of the build that is being published; those of earlier ones go."""
    if not is_built(con, DATES):
        return
    con.execute("delete from raw.segment_evaluations")
    con.execute(f"""
        insert into raw.segment_evaluations by name
        select user_id, evaluation_date, definitions_hash from {DATES} where is_in_history
    """)


def forget_unpublished(con: DuckDBPyConnection) -> None:
    """Forget what decided the dates of a build that was never published: definitions may have changed back since.

    That they were evaluated stays: a date that is in no history any more must still be dropped.
    """
    if not is_built(con, DATES):
        return
    con.begin()
    con.execute(f"""
        delete from raw.segment_evaluations
        where (user_id, evaluation_date) in (select user_id, evaluation_date from {DATES} where is_due)
    """)
    con.execute(f"""
        insert into raw.segment_evaluations by name
        select user_id, evaluation_date, null as definitions_hash from {DATES} where is_due
    """)
    con.commit()
