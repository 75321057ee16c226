"""Memberships, explanations and previews are what plain Python makes of the raw rows, date by date."""

from __future__ import annotations

import csv
import json
import random
import shutil
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import duckdb
import membership_oracle as oracle
import pytest
from membership_oracle import Rule, Tenant, Version
from small_warehouse import PROJECT_DIR, SmallWarehouse, customer, event, organization, parse_project, show_as_release

from orchestration.segments.catalogue import read_catalogue
from orchestration.segments.criteria import parse_criteria, render_criteria
from orchestration.segments.preview import preview

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from small_warehouse import Row

LOADED_AT = "2024-03-04 03:00:00"
AS_OF = date(2024, 3, 3)
HISTORY_DAYS = 420
"""So that two Februaries, one of them with 29 days, and a year's end are in it."""
HISTORY_FROM = AS_OF - timedelta(days=HISTORY_DAYS - 1)
ZONES = {"shop": "Europe/Berlin", "bank": "UTC"}
SEGMENT_COLUMNS = [
    *("segment_key", "since", "user_id", "name", "description", "segment_type", "is_automatic", "family"),
    *("is_exclusive", "owner", "is_active", "recommended_action", "channel"),
]
RULE_COLUMNS = [
    *("segment_key", "since", "group_number", "rule_number", "field", "subject", "operator", "value"),
    *("match_key", "match_value", "sum_property", "first_day", "last_day"),
]
MODELS = ("segment_members", "segment_membership_explain", "customer_segments_v2", "customer_attributes", "data_as_of")


# ── Raw rows ──────────────────────────────────────────────────────────────────────────────────


def _json(**values: object) -> str:
    return json.dumps(values, separators=(",", ":"))


def _bought(who: str, at: str, value: float, category: str | None = None, **columns: object) -> Row:
    names = ("product_id", "product_name", "user_id")
    own = {name: columns.pop(name) for name in names if name in columns}
    return event(
        who, at, "purchase", event_value=value, product_category=category, event_properties=_json(**columns), **own
    )


def _handmade() -> list[Row]:
    lines = [
        {"product_id": "p1", "product_category": "Wine", "brand": "Acme", "value": 40, "discount": 5},
        {"product_id": "p2", "product_category": "Wine", "brand": "Acme", "value": 10},
        {"product_id": "p3", "product_category": "mugs", "value": 50},
    ]
    return [
        # Orders around local midnights, at the change to summer time, and before history begins.
        _bought("ann", "2022-11-01 10:00:00", 60, "mugs", brand="Acme", quantity=2),
        _bought("ann", "2023-01-08 22:59:59", 40, "Wine", order_id="a1"),
        _bought("ann", "2023-01-08 23:00:00", 10.5, "Wine", order_id="a1", discount=1),
        _bought("ann", "2023-03-26 00:59:59", 50, "mugs", brand="Other", currency="EUR"),
        _bought("ann", "2023-03-26 01:00:00", 50, None, currency="usd"),
        _bought("ann", "2023-05-01 09:00:00", 100, brand="ACME", lines=lines),
        event("ann", "2023-05-03 10:00:00", "refund", event_value=20.5),
        # Two lines on different days are one order; its discount comes later.
        _bought("eve", "2023-02-10 12:00:00", 100, "wine", order_id="e1"),
        _bought("eve", "2023-02-20 12:00:00", 50.5, "mugs", order_id="e1", discount=5),
        _bought("eve", "2023-04-10 21:30:00", 0, "mugs", product_id="Cup", product_name="A Cup"),
        event("eve", "2023-06-01 12:00:00", "return", event_value=50.5),
        *(event("dan", f"2023-{month:02}-11 12:00:00", "product_view") for month in range(1, 13)),
        *(
            event("dan", f"2023-07-{at}:00:00", "review", event_properties=_json(rating=5))
            for at in ("01 12", "01 13", "09 12")
        ),
        event("dan", "2023-07-20 12:00:00", "review", event_properties=_json(rating=4)),
        event("dan", "2023-08-01 12:00:00", "points_earned", event_properties=_json(points=60)),
        event("dan", "2023-08-05 12:00:00", "points_earned", event_properties=_json(points=40.5)),
        event("dan", "2023-08-06 12:00:00", "add_to_cart", event_properties=_json(brand="Acme")),
        # One category of two lines, the other's line is later; then they tie, and the later one leads.
        _bought("fay", "2023-02-01 09:00:00", 20, "tea"),
        _bought("fay", "2023-02-02 09:00:00", 20, "cake"),
        _bought("fay", "2023-02-03 09:00:00", 20, "tea"),
        _bought("fay", "2023-02-04 09:00:00", 20, "cake", brand="Rare"),
        _bought("gus", "2024-02-29 23:30:00", 150.5, "Wine"),
        event("gus", "2024-03-03 12:00:00"),
    ]


def _drawn(user_id: str, names: list[str], seed: int) -> list[Row]:
    """Return orders and visits of customers at random, values often the same, so that ranks tie."""
    draw = random.Random(seed)  # noqa: S311 - not for secrets
    rows = []
    for name in names:
        for _ in range(draw.randint(1, 12)):
            at = f"{datetime(2022, 12, 1) + timedelta(minutes=draw.randint(0, 455 * 1440)):%Y-%m-%d %H:%M:%S}"  # noqa: DTZ001
            rows.append(
                _bought(
                    name,
                    at,
                    draw.choice([0, 20, 50, 50, 100]),
                    draw.choice([None, "mugs", "wine", "tea"]),
                    user_id=user_id,
                    discount=draw.choice([0, 0, 3]),
                    brand=draw.choice(["", "Acme", "Other"]) or None,
                )
            )
            rows.append(event(name, at, draw.choice(["page_view", "product_view"]), user_id=user_id))
    return rows


EVENTS = [
    *_handmade(),
    *_drawn("shop", ["hal", "ida", "jan", "kim", "leo"], 1),
    *_drawn("bank", ["ann", "bob", "cyd"], 2),
    event("ann", "2024-03-03 12:00:00", user_id="bank"),
]
PROFILES = [
    customer(
        "ann",
        "2023-02-01 08:00:00",
        birth_date="1992-02-29",
        city="Ulm",
        loyalty_tier="Silver",
        loyalty_points=499,
        email_opt_in=True,
        tags='["VIP-late","regular"]',
        signup_at="2022-10-31 23:30:00",
    ),
    customer("ann", "2023-06-10 21:59:59", birth_date="1992-02-29", city="Bonn", loyalty_tier="gold", loyalty_points=0),
    # Two versions on one local date: the last one holds.
    customer("ann", "2023-09-10 08:00:00", city="Ulm", loyalty_points=1, email_opt_in=True),
    customer("ann", "2023-09-10 09:00:00", city="BONN", loyalty_points=1500, email_opt_in=False, tags='["vip"]'),
    customer("bob", "2023-03-01", birth_date="1991-12-31", city="Köln", loyalty_points=500, signup_at="2023-01-20"),
    customer("bob", "2023-10-01", birth_date="1991-12-31", city="Köln", loyalty_tier="silver", loyalty_points=1500),
    customer("cyd", "2023-04-01", birth_date="1991-01-01", signup_at="2023-05-05 22:30:00", tags="[]"),
    customer("eve", "2023-04-01", birth_date="1991-03-01", city="ulm", tags='["\\u00DCber","Vip"]', email_opt_in=False),
    # Known from the only thing that is known: the time of the first version.
    customer("liv", "2023-07-01 22:00:00", city="Ulm", loyalty_tier="platinum", loyalty_points=9000),
    customer("liv", "2023-08-01", city="Neu-Ulm", loyalty_tier="bronze", loyalty_points=499),
    customer("ann", "2023-02-01", user_id="bank", city="Ulm", birth_date="1992-02-29"),
]


# ── Segments ──────────────────────────────────────────────────────────────────────────────────

COMPARISONS = ("=", "!=", "<", "<=", ">", ">=")
NUMBERS = {
    "order_count": ("2", "3"),
    "days_since_last_order": ("30", "60"),
    "total_spent": ("100", "150.5"),
    "avg_order_value": ("50", "50.5"),
    "loyalty_points": ("499", "1500"),
    "age": ("31", "32"),
    "discounted_order_share": ("0.5", "1"),
}
OTHER_NUMBERS = [
    Rule("visits_last_30_days", ">=", "1"),
    Rule("visit_count", "between", "2|4"),
    Rule("orders_last_30_days", "=", "2"),
    Rule("orders_previous_30_days", ">=", "1"),
    Rule("days_since_first_order", "<", "30"),
    Rule("purchase_frequency_days", "<=", "20"),
    Rule("lunch_order_share", ">=", "0.5"),
    Rule("night_order_share", ">", "0"),
    Rule("weekend_order_share", ">=", "0.5"),
    Rule("tenure_days", "in", "0|1|30"),
    Rule("days_since_last_event", ">=", "30"),
    Rule("active_days_last_30_days", "=", "0"),
    Rule("product_view_count", ">=", "7"),
    Rule("product_views_last_90_days", "=", "3"),
    Rule("top_category_order_share", ">=", "0.6"),
    Rule("top_category_order_share", "=", "1"),
    Rule("top_brand_order_share", ">=", "0.5"),
    Rule("top_brand_order_share", "<", "0.5"),
    # The same number twice is that number.
    Rule("order_count", "in", "2|2.0"),
    Rule("order_count", "not_in", "2|2.0|3"),
]
TEXTS = [
    *(Rule("city", operator, "ULM") for operator in ("=", "!=", "contains")),
    *(Rule("city", operator, "Ulm|bOnN") for operator in ("in", "not_in")),
    *(Rule("city", operator, "Ulm|ULM") for operator in ("in", "not_in")),
    *(Rule("city", operator) for operator in ("is_null", "is_not_null")),
    Rule("city", "contains", "öL"),
    Rule("loyalty_tier", "in", "GOLD|Platinum"),
    Rule("loyalty_tier", "!=", "silver"),
    Rule("favourite_category", "=", "tea"),
    Rule("favourite_category", "not_in", "wine|tea"),
    Rule("favourite_brand", "=", "acme"),
    Rule("acquisition_cohort", "=", "2022-11"),
]
FLAGS = [
    *(Rule("email_opt_in", operator, value) for operator in ("=", "!=") for value in ("true", "false")),
    *(Rule("email_opt_in", operator) for operator in ("is_null", "is_not_null")),
    Rule("has_profile", "=", "false"),
    Rule("is_loyalty_member", "!=", "true"),
    Rule("is_tier_upgrade_eligible", "=", "true"),
]
LISTS = [
    *(Rule("tags", "contains", value) for value in ("vip", "VIP-Late", "über")),
    *(Rule("tags", operator) for operator in ("is_null", "is_not_null")),
]
DATES = [
    *(Rule("first_order_date", operator, "2023-02-01") for operator in COMPARISONS),
    Rule("first_order_date", "between", "2023-02-01|2023-02-10"),
    *(Rule("first_order_date", "within_days", days) for days in ("0", "7", "8")),
    *(Rule("last_order_date", operator) for operator in ("is_null", "is_not_null")),
    Rule("signup_date", "within_days", "10"),
    *(Rule("birth_date", operator, "1992-02-29") for operator in ("=", "!=", "<")),
    Rule("birth_date", "is_null"),
    *(Rule("birth_date", "anniversary_within_days", days) for days in ("0", "1", "2", "30", "365")),
    Rule("first_order_date", "anniversary_within_days", "0"),
]
RANKS = [
    Rule(field, operator, percent)
    for field in ("total_spent", "order_count", "avg_order_value")
    for operator in ("top_percent", "bottom_percent")
    for percent in ("10", "25", "33.3", "50", "100")
]
PURCHASES = {"subject": "purchase", "first_day": 0}
COUNTS = [
    *(Rule("event_count", operator, "2", **PURCHASES) for operator in COMPARISONS),
    *(Rule("event_count", operator, "0", **PURCHASES) for operator in ("=", "!=", "<=", ">", ">=")),
    Rule("event_count", "<", "1", **PURCHASES),
    Rule("event_count", "between", "0|1", **PURCHASES),
    Rule("event_count", "between", "1|2", **PURCHASES),
    *(
        Rule("event_count", ">=", "1", "purchase", first_day=first, last_day=last)
        for first, last in ((0, 0), (0, 29), (1, 29), (30, 59), (60, None), (5, 5))
    ),
    Rule("event_count", "=", "0", "purchase", first_day=0, last_day=29),
    Rule("event_days", ">=", "2", "purchase", first_day=0, last_day=29),
    Rule("event_days", ">=", "2", "review", "rating", "5", first_day=0),
    Rule("event_count", ">=", "3", "review", "rating", "5", first_day=0),
    Rule("event_count", "=", "0", "purchase", "category", "WINE", first_day=0),
    Rule("event_count", ">=", "1", "purchase", "category", "wine", first_day=0, last_day=10),
    Rule("event_count", ">=", "1", "purchase", "product", "cup", first_day=0),
    Rule("event_count", ">=", "1", "purchase", "product", "a cup", first_day=0),
    Rule("event_count", ">=", "1", "purchase", "product", "P2", first_day=0),
    Rule("event_count", ">=", "2", "purchase", "brand", "acme", first_day=0),
    Rule("event_count", ">=", "1", "purchase", "currency", "eur", first_day=0),
    Rule("event_count", ">=", "1", "add_to_cart", "brand", "acme", first_day=0),
    Rule("event_count", ">=", "1", "add_to_cart", first_day=0, last_day=29),
    Rule("event_sum", ">=", "100", **PURCHASES),
    Rule("event_sum", "<", "100", "purchase", first_day=0, last_day=59),
    Rule("event_sum", "=", "50", "purchase", "category", "wine", first_day=0, last_day=29),
    Rule("event_sum", ">", "20.5", "return", first_day=0),
    Rule("event_sum", "between", "20.5|20.5", "refund", first_day=0),
    Rule("event_sum", ">", "60", "points_earned", sum_property="points", first_day=0),
    Rule("event_sum", "=", "100.5", "points_earned", sum_property="points", first_day=2, last_day=30),
    Rule("event_sum", ">=", "2", "purchase", sum_property="quantity", first_day=0),
]


def _name(rule: Rule) -> str:
    parts = (rule.field, rule.subject, rule.match_key, rule.match_value, rule.sum_property, rule.operator, rule.value)
    days = f"days {rule.first_day} to {rule.last_day}" if rule.first_day is not None else ""
    return " ".join(filter(None, (*parts, days)))


SINGLE_RULES = [
    *(Rule(field, operator, low) for field, (low, _) in NUMBERS.items() for operator in COMPARISONS),
    *(
        Rule(field, operator, f"{low}|{high}")
        for field, (low, high) in NUMBERS.items()
        for operator in ("between", "in", "not_in")
    ),
    *(Rule(field, operator) for field in NUMBERS for operator in ("is_null", "is_not_null")),
    *(rule for rules in (OTHER_NUMBERS, TEXTS, FLAGS, LISTS, DATES, RANKS, COUNTS) for rule in rules),
]
NEVER = {"order_count is_null", "total_spent is_null"}
"""What no customer is ever in: these fields are never null."""
ALWAYS = {"order_count is_not_null", "total_spent is_not_null", "event_count purchase >= 0 days 0 to None"}

BUYER, IN_ULM, NOBODY = Rule("order_count", ">=", "1"), Rule("city", "=", "ulm"), Rule("order_count", "<", "0")
TWENTY = tuple(Rule("order_count", ">=", str(number - 17)) for number in range(20))
"""A group as large as they get: three orders or more, said at length."""
OCTOBER, JANUARY = date(2023, 10, 1), date(2024, 1, 1)


def _joined(key: str, subject: str, days: int, **version: object) -> Version:
    return Version(key, ((Rule("joined_segment", "within_days", str(days), subject),),), **version)


VERSIONS = [
    *(Version(_name(rule), ((rule,),)) for rule in SINGLE_RULES),
    Version("all of two", ((BUYER, IN_ULM),)),
    Version("any of two", ((BUYER,), (IN_ULM,))),
    Version("any of three groups of several", ((BUYER, IN_ULM), (NOBODY,), (IN_ULM, Rule("has_profile", "=", "true")))),
    *(Version(f"twenty rules and {number}", (TWENTY, (NOBODY, *TWENTY[1:]))) for number in range(5)),
    Version("of the bank only", ((BUYER,),), tenant="bank"),
    # Changed from a date on, changed back, retired; not yet begun.
    Version("changed", ((Rule("order_count", ">=", "2"),),)),
    Version("changed", ((Rule("order_count", ">=", "4"),),), since=OCTOBER),
    Version("changed", ((Rule("order_count", ">=", "2"),), (IN_ULM,)), since=JANUARY),
    Version("retired", ((BUYER,),)),
    Version("retired", (), since=OCTOBER, is_active=False),
    Version("begun late", ((Rule("event_count", "=", "0", **PURCHASES), IN_ULM),), since=OCTOBER),
    Version("begun late", ((BUYER,),), since=JANUARY),
    Version("in the future", ((BUYER,),), since=AS_OF + timedelta(days=1)),
    Version("recent", ((Rule("days_since_last_order", "<=", "9"),),)),
    _joined("joined today", "recent", 1),
    _joined("joined within 7 days", "recent", 7),
    # Longer than a membership lasts: it ends with it.
    _joined("joined within 30 days", "recent", 30),
    _joined("joined, changed and retired", "recent", 3),
    _joined("joined, changed and retired", "recent", 20, since=OCTOBER),
    Version("joined, changed and retired", (), since=JANUARY, is_active=False),
    _joined("joined what changed", "changed", 7),
]


# ── Warehouse ─────────────────────────────────────────────────────────────────────────────────


def _write_seeds(project: Path) -> None:
    """Put the test's segments in the place of the shipped ones, and let history be long."""
    with (project / "seeds" / "segments" / "segments.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(SEGMENT_COLUMNS)
        for v in VERSIONS:
            active = str(v.is_active).lower()
            writer.writerow(
                [
                    v.segment_key,
                    v.since,
                    v.tenant,
                    v.segment_key,
                    "",
                    "custom",
                    "true",
                    "",
                    "false",
                    "",
                    active,
                    "",
                    "any",
                ]
            )
    with (project / "seeds" / "segments" / "segment_rules.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(RULE_COLUMNS)
        for v in VERSIONS:
            for group_number, group in enumerate(v.groups, start=1):
                for rule_number, r in enumerate(group, start=1):
                    key = [v.segment_key, v.since, group_number, rule_number, r.field, r.subject, r.operator, r.value]
                    writer.writerow([*key, r.match_key, r.match_value, r.sum_property, r.first_day, r.last_day])
    settings = project / "seeds" / "tenants" / "tenant_settings.csv"
    text = settings.read_text(encoding="utf-8")
    assert "segment_history_days,35," in text
    settings.write_text(text.replace("segment_history_days,35,", f"segment_history_days,{HISTORY_DAYS},"), "utf-8")


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> SmallWarehouse:
    """Return a warehouse built from the rows above by a copy of the project with the segments above."""
    home = tmp_path_factory.mktemp("evaluation")
    project = home / "project"
    for name in ("models", "macros", "seeds", "tests/dbt"):
        shutil.copytree(PROJECT_DIR / name, project / name)
    for name in ("dbt_project.yml", "profiles.yml"):
        shutil.copy(PROJECT_DIR / name, project)
    _write_seeds(project)
    warehouse = SmallWarehouse(home / "warehouse", parse_project(home / "parse", project), project).create()
    organizations = [organization(user_id, "2022-01-01", timezone=zone) for user_id, zone in ZONES.items()]
    warehouse.load(organizations=organizations, customers=PROFILES, events=EVENTS, loaded_at=LOADED_AT)
    warehouse.build("--select", *(f"+{model}" for model in MODELS))
    return warehouse


@pytest.fixture(scope="module")
def tenants() -> list[Tenant]:
    return [Tenant(user_id, zone, EVENTS, PROFILES) for user_id, zone in ZONES.items()]


@pytest.fixture(scope="module")
def expected(tenants: list[Tenant]) -> dict[str, set[oracle.Member]]:
    return oracle.members(tenants, VERSIONS, HISTORY_FROM, AS_OF)


def test_the_rows_reach_every_boundary(tenants: list[Tenant], expected: dict[str, set[oracle.Member]]) -> None:
    """A segment that everybody or nobody is in would prove little."""
    assert all(tenant.first_event_date() < HISTORY_FROM for tenant in tenants)
    known = {
        (tenant.user_id, who, HISTORY_FROM + timedelta(days=n))
        for tenant in tenants
        for who in tenant.customers
        for n in range(HISTORY_DAYS)
        if tenant.attributes(who, HISTORY_FROM + timedelta(days=n))
    }
    assert {key for key, found in expected.items() if not found} == {*NEVER, "in the future"}
    assert {key for key, found in expected.items() if found == known} == ALWAYS
    assert len({version.segment_key for version in VERSIONS}) > 3 * 62
    assert len(SINGLE_RULES) > 5 * 40


def test_history_begins_where_the_setting_says(warehouse: SmallWarehouse) -> None:
    clock = "select distinct history_from, as_of_date from intermediate.int_segment_clock"
    assert warehouse.query(clock) == [(HISTORY_FROM, AS_OF)]


def test_every_date_has_its_members(warehouse: SmallWarehouse, expected: dict[str, set[oracle.Member]]) -> None:
    found: dict[str, list[oracle.Member]] = {key: [] for key in expected}
    spells = "select segment_key, user_id, customer_id, joined_date, left_date from intermediate.int_segment_spells"
    for key, user_id, who, joined, left in warehouse.query(spells):
        days = ((left or AS_OF + timedelta(days=1)) - joined).days
        found[key] += [(user_id, who, joined + timedelta(days=n)) for n in range(days)]
    wrong = [
        f"{key}: {word} {', '.join(map(str, sorted(differing)[:3]))}"
        for key, members in expected.items()
        for word, differing in (("too many", set(found[key]) - members), ("missing", members - set(found[key])))
        if differing
    ]
    assert not wrong, "\n".join(wrong)
    assert [key for key, days in found.items() if len(days) != len(set(days))] == [], "memberships overlap"


def test_only_what_was_so_at_first_has_an_unknown_start(warehouse: SmallWarehouse) -> None:
    differing = """
        select * from intermediate.int_segment_spells as spells
        inner join intermediate.int_segment_clock as clock using (user_id)
        where is_joined_before_history <> (joined_date = history_from)
    """
    assert warehouse.query(differing) == []


# ── Explanation and preview, on the as-of date ────────────────────────────────────────────────


def _rules_in_force() -> Iterator[tuple[str, str, int, int, Rule]]:
    """Yield tenant, segment, group, rule number and rule."""
    for key in {version.segment_key for version in VERSIONS}:
        versions = [version for version in VERSIONS if version.segment_key == key]
        for user_id in ZONES:
            version = oracle.in_force(versions, user_id, AS_OF)
            for group_number, group in enumerate(version.groups if version else (), start=1):
                for rule_number, rule in enumerate(group, start=1):
                    yield user_id, key, group_number, rule_number, rule


def test_explanations_say_which_rules_are_met(warehouse: SmallWarehouse, tenants: list[Tenant]) -> None:
    rules = {rule[:4]: rule[4] for rule in _rules_in_force()}
    by_name = {tenant.user_id: tenant for tenant in tenants}
    explained = warehouse.query(
        """
        select user_id, segment_key, group_number, rule_number, customer_id, is_met
        from marts.segment_membership_explain
        """
    )
    plain = [row for row in explained if rules[row[:4]].field != "joined_segment"]
    assert len(plain) > 1000
    wrong = [row for row in plain if row[-1] != oracle.is_met(rules[row[:4]], by_name[row[0]], row[4], AS_OF)]
    assert wrong == []


def test_explanations_show_values_as_rules_write_them(warehouse: SmallWarehouse) -> None:
    shown = warehouse.query(
        """
        select segment_key, value from marts.segment_membership_explain
        where user_id = 'shop' and customer_id = 'ann' and segment_key in (
            'first_order_date <= 2023-02-01', 'city in Ulm|bOnN', 'email_opt_in = false', 'tags contains vip',
            'birth_date is_null', 'first_order_date within_days 0', 'order_count >= 2', 'has_profile != true'
        )
        """
    )
    assert dict(shown) == {
        "first_order_date <= 2023-02-01": "2022-11-01",
        "city in Ulm|bOnN": "bonn",
        "email_opt_in = false": "false",
        "tags contains vip": "[vip]",
        "birth_date is_null": "withheld",
        "order_count >= 2": "5",
    }


def test_previews_of_published_criteria_find_the_members(
    warehouse: SmallWarehouse, expected: dict[str, set[oracle.Member]]
) -> None:
    catalogue = read_catalogue(PROJECT_DIR / "seeds")
    with duckdb.connect() as con:
        show_as_release(con, warehouse.database)
        published = con.execute(
            "select segment_key, user_id, criteria, member_count from marts.customer_segments_v2 where is_active"
        ).fetchall()
        for key, user_id, criteria, member_count in published:
            rules = parse_criteria(criteria, catalogue)
            found = preview(con, rules, catalogue, tenant=user_id, published_key=key)
            members = {who for tenant, who, day in expected[key] if (tenant, day) == (user_id, AS_OF)}
            assert (found.size, found.joining, found.leaving) == (len(members), 0, 0), key
            assert {who for _, who in found.sample} == set(sorted(members)[:10]), key
            assert member_count == len(members), key
            assert parse_criteria(json.dumps(render_criteria(rules, catalogue)), catalogue) == rules, key
    assert len(published) > 2 * 3 * 62
