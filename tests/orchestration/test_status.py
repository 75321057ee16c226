"""What `warehouse status` says of uploaded scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from orchestration import release, status

if TYPE_CHECKING:
    from pathlib import Path


def test_status_tells_totals_and_rate_of_uploaded_scores(published: Path) -> None:
    current = release.current_release(published)
    assert current
    with release.read_release(published) as con:
        lines = status.release_lines(con, current)
        states = con.execute("select distinct state from score_loads").fetchall()
    assert states == [("published",)]
    told = lines[: next(place for place, line in enumerate(lines) if line.startswith("dates recomputed"))]
    assert told == [
        "uploaded scores: 5 of 8 rows accepted (62.50%) in 2 files",
        "  ltv_predictions/6.csv: 1 of 2 accepted (50.00%), 1 bad, 0 not found, 1 in force",
        "    Customer [removed]: churn_score is not finite",
        "  churn_scores/5.csv: 4 of 6 accepted (66.67%), 1 bad, 1 not found, 2 in force",
        "    Customer [removed] not found in organization",
        "    Customer [removed]: churn_score is not finite",
    ]


def test_status_of_an_older_release_says_nothing_of_scores(published: Path) -> None:
    current = release.current_release(published)
    assert current
    with duckdb.connect() as con:
        con.execute("create table run_ledger (run_id varchar, step varchar, kind varchar, seconds double)")
        assert not any("scores" in line for line in status.release_lines(con, current))
