"""The marts of segments against an oracle that goes member by member and day by day (`segment_oracle`)."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from math import isclose
from typing import TYPE_CHECKING, Any

import pytest
from segment_oracle import Customer, Figures, Spell, Tenant
from small_data import CUSTOMERS, LAST_DAY
from small_warehouse import assignment, customer, event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from small_warehouse import Row, SmallWarehouse

MARTS = (
    *("+segment_performance", "+behavioral_analytics", "+segment_size_daily", "+segment_transitions"),
    *("+segment_overlap", "+segment_kpis", "+segment_members", "+customer_profile_history", "+orders"),
)
MESSAGES = ("email_open", "email_click", "email_sent", "sms_sent", "sms_open", "page_view")
PERFORMANCE = (
    *("member_count", "active_members", "churn_rate", "lifetime_value", "avg_order_value", "purchase_frequency"),
    *("conversion_rate", "email_open_rate", "email_click_rate", "sms_open_rate", "engagement_score"),
    *("revenue_generated", "retention_rate", "revenue_share", "retainable_members", "churned_members", "order_count"),
    *("buyers_that_day", "members_with_event", "orders_last_30_days", "email_sent_last_30_days"),
    *("email_open_last_30_days", "email_click_last_30_days", "sms_sent_last_30_days", "sms_open_last_30_days"),
    *("net_to_date", "gross_amount", "revenue_last_30_days"),
)
ANALYTICS = {
    "total_customers": "member_count",
    "active_customers": "active_members",
    "total_purchases": "order_count",
    "customers_with_event": "members_with_event",
    "revenue": "revenue_generated",
    "revenue_share": "revenue_share_of_the_day",
} | {
    name: name
    for name in (
        *("new_customers", "at_risk_customers", "churned_customers", "newly_churned_customers", "total_page_views"),
        *("conversion_rate", "avg_session_duration_minutes", "bounce_rate", "repeat_purchase_rate", "avg_order_value"),
        *("customers_without_event", "buyers_that_day", "buyers_to_date", "repeat_buyers_to_date", "session_count"),
        *("engaged_session_count", "session_seconds", "total_events", "gross_amount", "refund_amount"),
    )
}
"""The oracle's word for each column of behavioral_analytics."""


def more_events() -> list[Row]:
    """Return messages of every kind, drawn at random, and buyers of long ago, some of whom come back."""
    rows = []
    for user_id in ("shop", "bank"):
        for number in range(CUSTOMERS):
            draw = random.Random(f"{user_id}{number}")  # noqa: S311 - the same data every time
            # Nobody opens text messages at the bank, as far as anybody knows.
            kinds = [kind for kind in MESSAGES if user_id == "shop" or kind != "sms_open"]
            for minute in range(14):
                day = LAST_DAY - timedelta(days=draw.randrange(75))
                at = f"{day:%Y-%m-%d} 1{minute % 10}:{minute:02}:07"
                rows.append(event(f"customer-{number:02}", at, draw.choice(kinds), user_id=user_id))
            first = datetime(2024, 2, 20, tzinfo=UTC) + timedelta(days=9 * number)
            for order, day in enumerate([first, first + timedelta(days=170 + 5 * number)][: 1 + number % 2]):
                if day < LAST_DAY:
                    order_id = f'{{"order_id":"old-{number}-{order}"}}'
                    columns = {"user_id": user_id, "event_value": 20 + number, "event_properties": order_id}
                    rows.append(event(f"old-{number:02}", f"{day:%Y-%m-%d} 11:00:00", "purchase", **columns))
    return rows


@pytest.fixture(scope="module")
def warehouse(built_warehouse: SmallWarehouse, tmp_path_factory: pytest.TempPathFactory) -> SmallWarehouse:
    """Return the small warehouse with more events, and with members chosen by hand."""
    warehouse = built_warehouse.copy_to(tmp_path_factory.mktemp("analysed"))
    choices = [
        (3, "2024-09-01", "add"),
        (5, "2024-09-10", "add"),
        (3, "2024-10-03", "remove"),
        (3, "2024-11-01", "add"),
    ]
    warehouse.load(
        events=more_events(),
        customers=[customer("customer-02", "2024-10-10", city="Bonn", email_opt_in=False)],
        segment_assignments=[
            assignment("vip_by_hand", f"customer-{number:02}", f"{day} 12:00:00", action)
            for number, day, action in choices
        ],
    )
    warehouse.build("--select", *MARTS, "--exclude-resource-type", "seed")
    return warehouse


@pytest.fixture(scope="module")
def tenants(warehouse: SmallWarehouse) -> dict[str, Tenant]:
    """Return what the oracle starts from: events, orders, sessions, memberships and definitions of each tenant."""
    read = warehouse.query
    tenants = {
        user_id: Tenant(first, last, {}, [], {})
        for user_id, first, last in read("select user_id, history_from, as_of_date from marts.segment_kpis")
    }
    for user_id, key, seen in read("select user_id, customer_id, first_seen_date from marts.customers"):
        tenants[user_id].customers[key] = Customer(seen)
    for user_id, key, day in read(
        """
        select user_id, customer_id, cast(timezone(timezone, timezone('UTC', valid_from)) as date)
        from marts.customer_profile_history join marts.data_as_of using (user_id) where valid_from is not null
        """
    ):
        tenants[user_id].customers[key].profiles.add(day)
    for row in dictionaries(warehouse, "marts.customer_daily", "event_date"):
        tenants[row["user_id"]].customers[row["customer_id"]].days[row["event_date"]] = {
            name: float(value) for name, value in row.items() if name.endswith(("_count", "_amount"))
        }
    for row in dictionaries(warehouse, "marts.orders", "order_date"):
        if not row["is_unmatched_refund"]:
            order = (row["order_date"], float(row["gross_amount"]))
            tenants[row["user_id"]].customers[row["customer_id"]].orders.append(order)
    for row in dictionaries(warehouse, "intermediate.int_sessions", "session_date"):
        session = (row["session_date"], row["is_engaged"], row["duration_seconds"])
        tenants[row["user_id"]].customers[row["customer_id"]].sessions.append(session)
    for user_id, *spell in read(
        """
        select user_id, segment_key, customer_id, assignment_type = 'manual', joined_date, left_date
        from marts.segment_members
        """
    ):
        tenants[user_id].spells.append(Spell(*spell))
    for user_id, key, since, is_active in read(
        "select user_id, segment_key, since, is_active from seeds.segments order by since"
    ):
        for tenant in [tenants[user_id]] if user_id != "*" else tenants.values():
            tenant.versions.setdefault(key, []).append((since, is_active))
    return tenants


def dictionaries(warehouse: SmallWarehouse, table: str, date_column: str) -> list[dict[str, Any]]:
    """Return a table's rows of dates by the as-of date."""
    with warehouse.connect() as con:
        cursor = con.execute(
            f"select * from {table} semi join (from marts.data_as_of) as clock "
            f"on {table}.user_id = clock.user_id and {date_column} <= clock.as_of_date"
        )
        names = [column for column, *_ in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def rows_by_key(warehouse: SmallWarehouse, sql: str, width: int) -> dict[tuple, Figures]:
    """Return a query's rows by their first columns, which no two rows share."""
    with warehouse.connect() as con:
        cursor = con.execute(sql)
        names = [column for column, *_ in cursor.description][width:]
        rows = cursor.fetchall()
    found = {row[:width]: dict(zip(names, row[width:], strict=True)) for row in rows}
    assert len(found) == len(rows)
    return found


def differences(
    found: Mapping[tuple, Figures], expected: Mapping[tuple, Figures], names: Mapping[str, str]
) -> list[str]:
    """Say where figures are not what the oracle says; `names`: its word for each column."""
    assert found.keys() == expected.keys()
    return [
        f"{key} {column}: {found[key][column]}, not {figures.get(word)}"
        for key, figures in expected.items()
        for column, word in names.items()
        if not is_same(found[key][column], figures.get(word))
    ]


def is_same(found: Any, expected: float | None) -> bool:  # noqa: ANN401 - any number
    """Compare as published: money has four decimals."""
    if found is None or expected is None:
        return found is expected
    return isclose(float(found), float(expected), rel_tol=1e-9, abs_tol=6e-5)


@pytest.fixture(scope="module")
def figures(tenants: dict[str, Tenant]) -> dict[tuple, Figures]:
    """Return what the oracle says of each tenant, segment and date."""
    return {
        (user_id, segment, day): figures
        for user_id, tenant in tenants.items()
        for segment, day, figures in tenant.rows()
    }


def test_performance_is_what_the_members_of_each_day_add_up_to(
    warehouse: SmallWarehouse, figures: dict[tuple, Figures]
) -> None:
    columns = ", ".join(PERFORMANCE)
    found = rows_by_key(warehouse, f"select user_id, segment_key, date, {columns} from marts.segment_performance", 3)
    assert differences(found, figures, {name: name for name in PERFORMANCE}) == []
    # Every figure is put to the test.
    assert {name for name in PERFORMANCE if all(row[name] in {0, None} for row in found.values())} == set()
    assert {row["sms_open_rate"] for (user_id, *_), row in found.items() if user_id == "bank"} == {None}


def test_analytics_of_segments_are_what_their_members_add_up_to(
    warehouse: SmallWarehouse, figures: dict[tuple, Figures]
) -> None:
    columns = ", ".join(f"analytics.{column}" for column in ANALYTICS)
    found = rows_by_key(
        warehouse,
        f"""
        select analytics.user_id, segment_key, date, {columns}
        from marts.behavioral_analytics as analytics
        join marts.customer_segments_v2 as segments on analytics.segment_id = segments.id
        """,
        3,
    )
    assert differences(found, figures, ANALYTICS) == []
    assert {name for name in ANALYTICS if all(row[name] in {0, None} for row in found.values())} == set()


def test_sizes_change_by_who_joined_and_left(warehouse: SmallWarehouse, tenants: dict[str, Tenant]) -> None:
    causes = ("count", *(f"by_{cause}" for cause in ("behavior", "definition", "data", "assignment")))
    names = ["member_count", *(f"{direction}_{cause}" for direction in ("joined", "left") for cause in causes)]
    found = rows_by_key(
        warehouse, f"select user_id, segment_key, date, {', '.join(names)} from marts.segment_size_daily", 3
    )
    expected = {
        (user_id, segment, day): dict.fromkeys(names, 0) | figures
        for user_id, tenant in tenants.items()
        for segment, day, figures in tenant.sizes()
    }
    assert differences(found, expected, {name: name for name in names}) == []
    moved = {name for name in names if any(row[name] for row in found.values())}
    # Nobody has changed a definition in this history.
    assert moved == {name for name in names if not name.endswith("definition")}


def test_transitions_are_moves_within_the_exclusive_family(
    warehouse: SmallWarehouse, tenants: dict[str, Tenant]
) -> None:
    family = [key for (key,) in warehouse.query("select segment_key from seeds.segments where family = 'rfm'")]
    found = warehouse.query(
        "select user_id, date, from_segment, to_segment, customer_count from marts.segment_transitions"
    )
    expected = {
        (user_id, *move, count)
        for user_id, tenant in tenants.items()
        for move, count in tenant.transitions(family).items()
    }
    assert len(found) == len(set(found)) > 0
    assert set(found) == expected


def test_overlap_is_what_two_segments_have_in_common(warehouse: SmallWarehouse, tenants: dict[str, Tenant]) -> None:
    names = ("both_count", "either_count", "jaccard", "overlap_coefficient", "lift")
    found = rows_by_key(
        warehouse, f"select user_id, segment_a, segment_b, {', '.join(names)} from marts.segment_overlap", 3
    )
    expected = {
        (user_id, *pair): figures for user_id, tenant in tenants.items() for pair, figures in tenant.overlap().items()
    }
    assert differences(found, expected, {name: name for name in names}) == []
    assert any(row["both_count"] for row in found.values())
