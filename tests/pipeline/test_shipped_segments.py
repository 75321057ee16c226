"""Every shipped segment, and every criterion of the documents that none of them uses: a customer in, a customer out.

All raw rows are made by hand, each at the edge of what the definition says, and built once. Dates are counted back from
the as-of date; the tenants' clocks show UTC.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from small_project import copy_project
from small_warehouse import PROJECT_DIR, Row, SmallWarehouse, assignment, customer, event, organization, parse_project

from orchestration.segments import add_segment

if TYPE_CHECKING:
    from collections.abc import Sequence

AS_OF = date(2024, 11, 9)
"""A Saturday; the warehouse is loaded in the night that follows it."""
BERLIN = {"latitude": 52.52, "longitude": 13.405}


@dataclass(frozen=True)
class Pair:
    """Somebody who is in a segment and somebody who is not, by a narrow margin: what each did and what is known."""

    member: Sequence[Row]
    other: Sequence[Row]

    def rows(self, key: str) -> list[Row]:
        """Return the rows of both, under the names that `who` gives them."""
        sides = {"in": self.member, "out": self.other}
        return [row | {"customer_id": f"{key}-{side}"} for side, rows in sides.items() for row in rows]


def at(days_ago: int, hour: int = 15) -> str:
    return f"{AS_OF - timedelta(days=days_ago)} {hour:02}:00:00"


def order(days_ago: int, value: float = 10, hour: int = 15, **columns: Any) -> Row:  # noqa: ANN401 - any column of an event
    return event("", at(days_ago, hour), "purchase", event_value=value, **columns)


def orders(*days_ago: int, **columns: Any) -> list[Row]:  # noqa: ANN401 - any column of an event
    return [order(days, **columns) for days in days_ago]


def done(event_type: str, *days_ago: int, **columns: Any) -> list[Row]:  # noqa: ANN401 - any column of an event
    return [event("", at(days), event_type, **columns) for days in days_ago]


def profile(**columns: Any) -> list[Row]:  # noqa: ANN401 - any column of raw.customers
    return [customer("", "2024-01-15", signup_at="2024-01-15", **columns)]


def on(day: str, value: float = 10) -> Row:
    return order((AS_OF - date.fromisoformat(day)).days, value)


# ── What is shipped ───────────────────────────────────────────────────────────────────────────

READER = {"email_opt_in": True}
WINE = {"product_category": "Wine"}
CHEAPER = {"event_properties": '{"discount":5}'}
ACME, OTHER = ({"event_properties": f'{{"brand":"{brand}"}}'} for brand in ("Acme", "Other"))

SHIPPED = {
    # Document 004, automatic segments
    "super_regulars": Pair(orders(*range(8)), orders(*range(7))),
    "new_customers": Pair(orders(29), orders(30)),
    "at_risk": Pair(orders(60), orders(59)),
    "lapsed": Pair(orders(180), orders(179)),
    "high_spenders": Pair(orders(5, value=100.01), orders(5, value=100)),
    "birthday_this_month": Pair(profile(birth_date="1990-12-09"), profile(birth_date="1990-12-10")),
    "email_subscribers": Pair(profile(email_opt_in=True), profile(email_opt_in=False)),
    "loyalty_members": Pair(profile(loyalty_tier="bronze"), profile()),
    "lunch_crowd": Pair(
        [order(1, hour=11), order(2, hour=13), order(3, hour=14)],
        [order(1, hour=11), order(2, hour=13), order(3, hour=14), order(4, hour=10)],
    ),
    "dinner_regulars": Pair(
        [order(1, hour=17), order(2, hour=20), order(3, hour=21)],
        [order(1, hour=17), order(2, hour=20)],
    ),
    "health_conscious": Pair(orders(1, 179, product_category="Salad"), orders(1, 180, product_category="Salad")),
    # Dynamic segments
    "became_at_risk": Pair(orders(66), orders(67)),
    "about_to_lapse": Pair(orders(45), orders(44)),
    "tier_upgrade": Pair(
        profile(loyalty_tier="silver", loyalty_points=1500), profile(loyalty_tier="silver", loyalty_points=1499)
    ),
    # Its examples
    "win_back": Pair(
        [*orders(30, 61, 90, value=70), *profile(**READER)],
        [*orders(30, 61, 91, value=70), *profile(**READER)],
    ),
    "vip_upsell": Pair(
        [order(9, 1001), *profile(loyalty_tier="Gold")],
        [order(9, 1001), order(400, 5, **WINE), *profile(loyalty_tier="Gold")],
    ),
    "new_customer_nurture": Pair(
        [order(7, 50.01), *profile(**READER)],
        [order(8, 50.01), *profile(**READER)],
    ),
    # Document 000
    "high_value_customers": Pair(orders(*range(30, 40), value=50), orders(*range(31, 41), value=50)),
    "vip_program": Pair(orders(*range(30, 50), value=250), orders(*range(30, 49), value=300)),
    "declining_customers": Pair(orders(30, 40, 50), [*orders(30, 40, 50), *done("page_view", 29)]),
    "high_monetary": Pair(orders(9, value=1000), orders(9, value=999.99)),
    "q4_2024": Pair([on("2024-10-01")], [on("2024-09-30"), on("2024-10-01")]),
    # Document 002
    "high_lifetime_value": Pair(orders(*range(5), value=200), orders(*range(4), value=300)),
    "loyal_high_value": Pair(
        [*orders(*range(5), value=200), *profile(loyalty_tier="platinum")],
        [*orders(*range(5), value=200), *profile(loyalty_tier="silver")],
    ),
    "infrequent_at_risk": Pair(orders(90), orders(90, 91)),
    "recent_first_orders": Pair(orders(30), [*done("page_view", 31), *orders(5)]),
    "vip_by_hand": Pair(orders(5), orders(5)),
    # Document 003
    "frequent_buyers": Pair(orders(*range(172, 180)), orders(*range(173, 181))),
    "bargain_hunters": Pair(
        [*orders(1, 2, **CHEAPER), *orders(3, 4)],
        [*orders(1, **CHEAPER), *orders(2, 3)],
    ),
    "brand_loyal": Pair(
        [*orders(*range(7), **ACME), *orders(7, **OTHER)],
        [*orders(*range(6), **ACME), *orders(6, 7, **OTHER)],
    ),
    "window_shoppers": Pair(done("product_view", *range(30)), done("product_view", *range(29))),
    "seasonal_buyers": Pair(
        [*map(on, ("2023-12-01", "2023-12-02", "2024-07-01", "2024-10-01", "2024-10-02", "2024-10-03"))],
        [*map(on, ("2023-12-01", "2023-12-02", "2024-07-01", "2024-07-02", "2024-10-01", "2024-10-02"))],
    ),
    # Documents 000 and 004: where customers live
    "neighbours": Pair(profile(latitude=52.5645, longitude=13.405), profile(latitude=52.5655, longitude=13.405)),
}
"""Pairs of tenant shop, by segment."""

NO_MEMBERS_YET = {"at_risk_retention": "churn_probability is empty until there are predictions"}

GRID = {
    5: ("new_customers", "potential_loyalists", "potential_loyalists", "champions", "champions"),
    4: ("promising", "potential_loyalists", "potential_loyalists", "loyal_customers", "loyal_customers"),
    3: ("about_to_sleep", "about_to_sleep", "need_attention", "loyal_customers", "loyal_customers"),
    2: ("hibernating", "hibernating", "at_risk", "at_risk", "at_risk"),
    1: ("lost", "lost", "at_risk", "cannot_lose_them", "cannot_lose_them"),
}
"""Segments of the RFM grid by recency and, from left to right, frequency and money: the table that DEFINITIONS has."""


def rfm_tenant() -> list[Row]:
    """Return one buyer for each cell of the grid, `r-fm`, and one who never bought."""
    rows = [
        order(10 * (5 - recency) + number) | {"user_id": "grid", "customer_id": f"{recency}-{fm}"}
        for recency in GRID
        for fm in range(1, 6)
        for number in range(fm)
    ]
    return [*rows, event("browser", at(0), user_id="grid")]


def vip_tenant() -> list[Row]:
    """Return twenty buyers, of whom two are the top 10 %: `riser` since three days, in place of `second`."""
    spent = {f"buyer-{number:02}": [order(70)] for number in range(17)}
    spent |= {"first": [order(70, 900)], "second": [order(70, 500)], "riser": [order(70), order(2, 700)]}
    return [row | {"user_id": "vip", "customer_id": name} for name, rows in spent.items() for row in rows]


# ── Criteria of the documents that no shipped segment uses ────────────────────────────────────

WHERE = {
    "order_frequency": {"minPurchaseFrequency": 4},
    "most_lifetime_value": {"maxLifetimeValue": 100},
    "most_orders": {"maxOrders": 2, "minOrders": 1},
    "recent_purchase": {"maxDaysSinceLastPurchase": 14},
    "long_tenure": {"minTenureDays": 365},
    "average_order_value": {"minAvgOrderValue": 20, "maxAvgOrderValue": 30},
}
"""Criteria in the documents' keys."""

RULES = {
    "favourite_category": ("favourite_category", "=", "pizza"),
    "weekend": ("weekend_order_share", ">", 0.5),
    "weekday": ("weekend_order_share", "<", 0.5),
    "age_range": ("age", "between", [18, 25]),
    "city": ("city", "in", ["Berlin", "Potsdam"]),
    "email_channel": ("preferred_channel", "=", "email"),
    "sms_channel": ("sms_opt_in", "=", True),
    "email_opens": ("email_opens_last_90_days", ">=", 2),
    "reviews": ("review_count", ">=", 1),
    "loyalty_status": ("loyalty_tier", "=", "gold"),
    "referrals": ("referral_converted_count", ">=", 1),
    "social_media": ("follows_on_social", "=", True),
    "tags": ("tags", "contains", "press"),
    "vip_status": ("is_vip", "=", True),
    "sign_up_anniversary": ("signup_date", "anniversary_within_days", 7),
    "dietary_preference": ("dietary_preference", "in", ["vegan", "gluten_free"]),
    "acquisition_cohort": ("acquisition_cohort", "=", "2024-10"),
}
"""Criteria of one rule each: field, operator, value."""

CRITERIA = {
    "order_frequency": Pair(orders(*range(26, 31)), orders(27, 29, 31)),
    "most_lifetime_value": Pair(orders(3, value=100), orders(3, value=100.01)),
    "most_orders": Pair(orders(3, 4), orders(3, 4, 5)),
    "recent_purchase": Pair(orders(14), orders(15)),
    "long_tenure": Pair(orders(365), orders(364)),
    "average_order_value": Pair([order(3, 20), order(4, 40)], [order(3, 20), order(4, 41)]),
    "favourite_category": Pair(
        [*orders(3, 4, product_category="Pizza"), *orders(5, product_category="Pasta")],
        [*orders(3, product_category="Pizza"), *orders(4, 5, product_category="Pasta")],
    ),
    "weekend": Pair(orders(0, 6, 5), orders(0, 2, 3)),
    "weekday": Pair(orders(0, 2, 3), orders(0, 6, 5)),
    "age_range": Pair(profile(birth_date="2006-11-09"), profile(birth_date="2006-11-10")),
    "city": Pair(profile(city="POTSDAM"), profile(city="Bonn")),
    "email_channel": Pair(
        profile(attributes='{"preferred_channel":"Email"}'), profile(attributes='{"preferred_channel":"sms"}')
    ),
    "sms_channel": Pair(profile(sms_opt_in=True), profile()),
    "email_opens": Pair(done("email_open", 1, 89), done("email_open", 1, 90)),
    "reviews": Pair(done("review", 400), done("page_view", 400)),
    "loyalty_status": Pair(profile(loyalty_tier="GOLD"), profile(loyalty_tier="silver")),
    "referrals": Pair(done("referral_converted", 5), done("referral_sent", 5)),
    "social_media": Pair(profile(attributes='{"follows_on_instagram":"yes"}'), profile()),
    "tags": Pair(profile(tags='["Press","local"]'), profile(tags='["press list"]')),
    "vip_status": Pair(profile(is_vip=True), profile(is_vip=False)),
    "sign_up_anniversary": Pair(
        [customer("", "2024-01-15", signup_at="2022-11-16")], [customer("", "2024-01-15", signup_at="2022-11-17")]
    ),
    "dietary_preference": Pair(
        profile(attributes='{"dietary_preference":"gluten_free"}'),
        profile(attributes='{"dietary_preference":"omnivore"}'),
    ),
    "acquisition_cohort": Pair([on("2024-10-31")], [on("2024-09-30"), on("2024-10-31")]),
    "either": Pair(profile(is_vip=True), [*profile(is_vip=False), *orders(9)]),
    "more_than_one_category": Pair(
        [*orders(3, product_category="Pizza"), *orders(5, product_category="Pasta")],
        [*orders(3, 4, product_category="Pizza")],
    ),
}
"""Pairs of tenant shop, by criterion."""


def criteria_of(name: str) -> str:
    """Return a criterion as somebody would give it to `warehouse segments add`."""
    if name in WHERE:
        return json.dumps(WHERE[name])
    if name in RULES:
        return json.dumps({"all": [dict(zip(("field", "operator", "value"), RULES[name], strict=True))]})
    rich = {"field": "total_spent", "operator": ">", "value": 500}
    vip = {"field": "is_vip", "operator": "=", "value": True}
    mixed = {"field": "top_category_order_share", "operator": "<", "value": 1}
    return json.dumps({"either": {"any": [{"all": [rich]}, {"all": [vip]}]}}.get(name, {"all": [mixed]}))


# ── One build ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> SmallWarehouse:
    """Return a warehouse of all pairs, built by the shipped definitions and those of the criteria."""
    home = tmp_path_factory.mktemp("shipped_segments")
    project = copy_project(home / "project")
    for name in CRITERIA:
        key = f"criterion_{name}"
        add_segment(
            project / "seeds",
            name=key,
            key=key,
            segment_type="custom",
            since=date(2000, 1, 1),
            criteria=criteria_of(name),
        )
    warehouse = SmallWarehouse(home / "warehouse", parse_project(home / "parse", project), project).create()
    rows = [row for key, pair in SHIPPED.items() for row in pair.rows(key)]
    rows += [row for name, pair in CRITERIA.items() for row in pair.rows(f"criterion_{name}")]
    tenants = [organization(name, "2024-01-01", org_type="ecommerce", **BERLIN) for name in ("shop", "grid", "vip")]
    awake = [event("clock", at(0), user_id=tenant) for tenant in ("shop", "vip")]
    warehouse.load(
        organizations=tenants,
        customers=[row for row in rows if "row_id" in row],
        events=[*(row for row in rows if "event_id" in row), *rfm_tenant(), *vip_tenant(), *awake],
        segment_assignments=[assignment("vip_by_hand", "vip_by_hand-in", at(10))],
        loaded_at=f"{AS_OF + timedelta(days=1)} 03:00:00",
    )
    warehouse.build("--select", "+segment_members", "+segment_membership_explain", "data_as_of")
    return warehouse


@pytest.fixture(scope="module")
def members(warehouse: SmallWarehouse) -> set[tuple[str, str, str]]:
    """Return tenant, segment and customer of all current memberships."""
    rows = warehouse.query("select user_id, segment_key, customer_id from marts.segment_members where is_current")
    return set(rows)


def test_the_day_is_the_one_that_the_rows_are_made_for(warehouse: SmallWarehouse) -> None:
    assert warehouse.query("select distinct as_of_date from marts.data_as_of") == [(AS_OF,)]


@pytest.mark.parametrize("key", SHIPPED)
def test_shipped_segments_hold_whom_they_describe(key: str, members: set[tuple[str, str, str]]) -> None:
    assert [("shop", key, f"{key}-{side}") in members for side in ("in", "out")] == [True, False]


@pytest.mark.parametrize("name", CRITERIA)
def test_criteria_of_the_documents_find_whom_they_describe(name: str, members: set[tuple[str, str, str]]) -> None:
    key = f"criterion_{name}"
    assert [("shop", key, f"{key}-{side}") in members for side in ("in", "out")] == [True, False]


def test_vips_are_the_top_tenth_and_some_have_just_become_so(members: set[tuple[str, str, str]]) -> None:
    found = {key: {who for user_id, k, who in members if (user_id, k) == ("vip", key)} for key in VIP_SEGMENTS}
    assert found == {"vip_customers": {"first", "riser"}, "just_reached_vip": {"riser"}}


VIP_SEGMENTS = ("vip_customers", "just_reached_vip")
CELLS = [(recency, fm) for recency in GRID for fm in range(1, 6)]


def test_rfm_segments_are_the_cells_of_the_grid(members: set[tuple[str, str, str]]) -> None:
    found = {who: key for user_id, key, who in members if user_id == "grid" and key.startswith("rfm_")}
    expected = {f"{recency}-{fm}": f"rfm_{GRID[recency][fm - 1]}" for recency, fm in CELLS}
    assert found == expected | {"browser": "rfm_no_purchase"}


def test_segments_without_predictions_have_no_members(members: set[tuple[str, str, str]]) -> None:
    assert {key for _, key, _ in members} & NO_MEMBERS_YET.keys() == set()


def test_every_shipped_segment_has_somebody_in_and_somebody_out() -> None:
    with (PROJECT_DIR / "seeds" / "segments" / "segments.csv").open(encoding="utf-8", newline="") as file:
        shipped = {row["segment_key"] for row in csv.DictReader(file)}
    rfm = {f"rfm_{name}" for cells in GRID.values() for name in cells} | {"rfm_no_purchase"}
    assert shipped == SHIPPED.keys() | NO_MEMBERS_YET.keys() | set(VIP_SEGMENTS) | rfm


def test_every_member_is_explained_by_a_group_of_clauses_that_are_met(warehouse: SmallWarehouse) -> None:
    explained = warehouse.query("""
        with groups as (
            select user_id, segment_key, customer_id, group_number, bool_and(is_met) as is_met
            from marts.segment_membership_explain group by all
        )
        select user_id, segment_key, customer_id from groups group by all having bool_or(is_met)
    """)
    current = warehouse.query("select user_id, segment_key, customer_id from marts.segment_members where is_current")
    assert set(explained) == set(current)
