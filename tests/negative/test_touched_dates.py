"""Planted mistakes in what decides which dates are recomputed: fifty histories find each of them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from small_project import copy_project
from small_warehouse import PROJECT_DIR, SmallWarehouse, parse_project

sys.path.append(str(PROJECT_DIR / "tests" / "pipeline"))
from histories import INCREMENTAL, differs_from_full_refresh, draw_histories, play

if TYPE_CHECKING:
    from pathlib import Path

SEGMENT_DATES = "models/intermediate/segments/int_segment_dates.sql"
TOUCHED_DATES = "models/intermediate/events/int_touched_dates.sql"
MISTAKES = {
    "a session's day before is not recomputed": (
        "models/intermediate/events/int_touched_session_dates.sql",
        "{{ add_days('event_date', -1) }} as session_date",
        "event_date as session_date",
    ),
    "a date that became empty keeps its rows": (
        "macros/replace_dates.sql",
        "select user_id, {{ date_column }} from {{ touched_dates_relation(date_column) }}\n    );",
        "select user_id, {{ date_column }} from {{ arguments['temp_relation'] }}\n    );",
    ),
    "other tenants lose their rows of a touched date": (
        "macros/replace_dates.sql",
        "where (user_id, {{ date_column }}) in (\n        select user_id, {{ date_column }} from",
        "where {{ date_column }} in (\n        select {{ date_column }} from",
    ),
    "loads that an unpublished run left pending are forgotten": (
        TOUCHED_DATES,
        "where state = 'pending'\n\n),\n\n-- Events are stored",
        "where load_id >= (select max(load_id) - 1 from {{ ref('stg_load_ledger') }})\n\n),\n\n-- Events are stored",
    ),
    "a changed time zone moves only the dates that have new events": (
        TOUCHED_DATES,
        "having count(distinct timezone) > 1",
        "having false",
    ),
    "a window looks back over the last days only": (
        TOUCHED_DATES,
        "select * from touched\n",
        "select * from touched where event_date >= (select max(event_date) - 7 from touched)\n",
    ),
    "withdrawn files do not ask for their dates": (
        TOUCHED_DATES,
        "    union\n    select * from requested_dates\n",
        "",
    ),
    "memberships are not evaluated from touched dates on": (
        SEGMENT_DATES,
        "        min(event_date) as first_date\n    from touched_dates",
        "        max(event_date) as first_date\n    from touched_dates",
    ),
    "a profile that comes late changes memberships from its load on": (
        "models/intermediate/segments/int_segment_profile_changes.sql",
        "    select * from pending_profiles\n    union all\n",
        "",
    ),
    "a changed definition holds from the next date on": (
        SEGMENT_DATES,
        "where with_hashes.definitions_hash is distinct from evaluations.definitions_hash",
        "where evaluations.definitions_hash is null",
    ),
    "members before the first date that is due are forgotten": (
        "models/intermediate/segments/int_segment_changes.sql",
        "        union all\n\n        select\n            customers.customer_number,",
        "        union all\n\n        select\n            -customers.customer_number as customer_number,",
    ),
}


@pytest.mark.deep
@pytest.mark.parametrize("mistake", MISTAKES)
def test_fifty_histories_find(mistake: str, tmp_path: Path) -> None:
    path, right, wrong = MISTAKES[mistake]
    project = copy_project(tmp_path / "project")
    text = (project / path).read_text(encoding="utf-8")
    # The last one: a CTE may say the same words before.
    before, found, after = text.rpartition(right)
    assert found, f"{path} does not hold the planted mistake's text any more"
    (project / path).write_text(before + wrong + after, encoding="utf-8")

    mistaken = SmallWarehouse(tmp_path / "mistaken", parse_project(tmp_path / "parse", project), project).create()
    play(mistaken, draw_histories(50), last_selection=INCREMENTAL)
    assert differs_from_full_refresh(mistaken, INCREMENTAL), f"nothing differs although {mistake}"
