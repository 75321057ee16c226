"""A past day comes out as that day itself would have: later events change nothing that speaks of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from histories import RECORDED, differing_tenants
from small_data import fill
from small_warehouse import SmallWarehouse

if TYPE_CHECKING:
    from pathlib import Path

    from dbt.contracts.graph.manifest import Manifest

PAST_DAY = "2024-07-31"
HOLD_WAITING_EVENTS = {
    "marts.customer_behavior_events",
    "marts.event_completeness",
    "marts.order_lines",
    "marts.refunds",
    "marts.customer_daily",
    "marts.data_as_of",
    "marts.sessions",
    "marts.rejected_rows",
    "marts.score_loads",
}
"""Marts that hold events or uploads after the as-of date, or count them; a release apart ends at the date."""


@pytest.mark.deep
def test_a_past_day_is_what_the_day_itself_would_have_given(tmp_path: Path, dbt_manifest: Manifest) -> None:
    today = SmallWarehouse(tmp_path / "today", dbt_manifest).create()
    fill(today)
    that_day = today.copy_to(tmp_path / "that_day")
    zone = "case user_id when 'shop' then 'Europe/Berlin' else 'UTC' end"
    local_date = f"(created_at at time zone 'UTC' at time zone {zone})::date"
    that_day.execute(f"delete from raw.events where {local_date} > '{PAST_DAY}'")
    # What was uploaded later was not known that day, either.
    for feed in ("churn_scores", "ltv_predictions"):
        that_day.execute(f"delete from raw.{feed} where updated_at > '{PAST_DAY}'")
    (before, after) = (warehouse.query("select count(*) from raw.events")[0][0] for warehouse in (today, that_day))
    assert 0 < after < before

    for warehouse in (today, that_day):
        warehouse.build("--vars", json.dumps({"as_of_date": PAST_DAY}))
    assert today.query("select distinct as_of_date::varchar from marts.data_as_of") == [(PAST_DAY,)]
    found = differing_tenants(today.database, that_day.database, ignoring_loads=True)
    assert found.keys() <= HOLD_WAITING_EVENTS | RECORDED, found
    for table in ("customer_behavior_summary", "behavioral_analytics", "customer_rfm", "orders"):
        assert today.query(f"select count(*) from marts.{table}")[0][0] > 0
