"""Criteria in JSON to rules and back, and what a preview makes of rules on hand-made customers."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.segments.catalogue import NULL_TESTS, Catalogue, SegmentError, read_catalogue
from orchestration.segments.criteria import CriteriaError, Rule, check_rules, parse_criteria, render_criteria
from orchestration.segments.definitions import read_definitions
from orchestration.segments.preview import MembershipQuery, preview

SEEDS = Path(__file__).resolve().parents[2] / "seeds"
CATALOGUE = read_catalogue(SEEDS)

Brief = tuple[str, str, str]


def brief(rules: tuple[Rule, ...]) -> list[Brief]:
    return [(rule.field, rule.operator, rule.value) for rule in rules]


def one(**rule: object) -> str:
    return json.dumps({"all": [rule]})


# ── The documents' own JSON ───────────────────────────────────────────────────────────────────

DOCUMENTS: dict[str, list[Brief]] = {
    # Document 000
    '{"recency_days": 30, "min_frequency": 10, "min_monetary": 500}': [
        ("days_since_last_order", "<=", "30"),
        ("order_count", ">=", "10"),
        ("total_spent", ">=", "500"),
    ],
    '{"minMonetary": 1000}': [("total_spent", ">=", "1000")],
    '{"daysInactive": 30, "minPreviousPurchases": 3}': [
        ("days_since_last_event", ">=", "30"),
        ("order_count", ">=", "3"),
    ],
    '{"recency_days": 30, "min_frequency": 20, "min_monetary": 5000}': [
        ("days_since_last_order", "<=", "30"),
        ("order_count", ">=", "20"),
        ("total_spent", ">=", "5000"),
    ],
    '{"high_churn_risk": true}': [("churn_probability", ">", "0.5")],
    # Document 002
    '{"minLifetimeValue": 1000, "minOrders": 5, "loyaltyLevels": ["GOLD", "PLATINUM"]}': [
        ("total_spent", ">=", "1000"),
        ("order_count", ">=", "5"),
        ("loyalty_tier", "in", "GOLD|PLATINUM"),
    ],
    '{"minDaysSinceLastPurchase": 90, "maxPurchaseFrequency": 0.5}': [
        ("days_since_last_order", ">=", "90"),
        ("orders_per_month", "<=", "0.5"),
    ],
    '{"maxTenureDays": 30, "minOrders": 1}': [("tenure_days", "<=", "30"), ("order_count", ">=", "1")],
    '{"minLifetimeValue": 1000, "minOrders": 5}': [("total_spent", ">=", "1000"), ("order_count", ">=", "5")],
    "{}": [],
}


@pytest.mark.parametrize("criteria", DOCUMENTS)
def test_examples_of_the_documents_are_taken_as_they_stand(criteria: str) -> None:
    rules = parse_criteria(criteria, CATALOGUE)
    assert brief(rules) == DOCUMENTS[criteria]
    assert {rule.group_number for rule in rules} <= {1}


def test_groups_and_events_are_read() -> None:
    rules = parse_criteria(
        json.dumps(
            {
                "any": [
                    {"all": [{"field": "tags", "operator": "contains", "value": " vegan "}]},
                    {
                        "all": [
                            {"field": "city", "operator": "is_null"},
                            {
                                "field": "event_sum",
                                "operator": ">",
                                "value": 1.50,
                                "subject": "loyalty_points_earned",
                                "sum_property": "points",
                                "last_day": 29,
                                "match_key": None,
                            },
                        ]
                    },
                ]
            }
        ),
        CATALOGUE,
    )
    assert rules == (
        Rule(1, 1, "tags", "contains", "vegan"),
        Rule(2, 1, "city", "is_null"),
        Rule(2, 2, "event_sum", ">", "1.5", subject="points_earned", sum_property="points", first_day=0, last_day=29),
    )


def test_the_first_spelling_of_a_listed_text_is_kept() -> None:
    criteria = '{"loyaltyLevels": ["Gold", "gold", "PLATINUM", "GOLD"]}'
    assert brief(parse_criteria(criteria, CATALOGUE)) == [("loyalty_tier", "in", "Gold|PLATINUM")]


# ── Round trip ────────────────────────────────────────────────────────────────────────────────


def test_shipped_segments_survive_json_and_back() -> None:
    definitions = read_definitions(SEEDS)
    assert len(definitions.rules) > 40
    for rules in definitions.rules.values():
        assert parse_criteria(json.dumps(render_criteria(rules, CATALOGUE)), CATALOGUE) == rules


def test_documents_survive_json_and_back() -> None:
    for criteria in DOCUMENTS:
        rules = parse_criteria(criteria, CATALOGUE)
        assert parse_criteria(json.dumps(render_criteria(rules, CATALOGUE)), CATALOGUE) == rules


TEXTS = st.text(min_size=1, max_size=20)
NUMBERS = st.integers(-(10**12), 10**12) | st.floats(allow_nan=True, allow_infinity=True)
VALUES = st.none() | st.booleans() | NUMBERS | TEXTS | st.lists(NUMBERS | TEXTS | st.dates().map(str), max_size=3)


@given(
    field=st.sampled_from(sorted(CATALOGUE.fields)) | TEXTS,
    operator=st.sampled_from(["=", "between", "in", "contains", "is_null", "top_percent", "within_days"]) | TEXTS,
    value=VALUES,
    extra=st.dictionaries(st.sampled_from(["subject", "match_key", "match_value", "first_day", "rank"]), VALUES),
)
def test_anything_is_a_rule_that_survives_or_one_clear_error(
    field: str, operator: str, value: object, extra: dict[str, object]
) -> None:
    try:
        rules = parse_criteria(one(field=field, operator=operator, value=value, **extra), CATALOGUE)
    except CriteriaError as error:
        str(error).encode()  # printable
        return
    assert parse_criteria(json.dumps(render_criteria(rules, CATALOGUE)), CATALOGUE) == rules
    check_rules(rules, CATALOGUE)


@given(VALUES | st.recursive(VALUES, lambda inner: st.dictionaries(TEXTS, inner, max_size=3) | st.lists(inner)))
def test_any_json_is_criteria_or_one_clear_error(criteria: object) -> None:
    try:
        parse_criteria(json.dumps(criteria), CATALOGUE)
    except CriteriaError as error:
        str(error).encode()


# ── One clear error ───────────────────────────────────────────────────────────────────────────

REFUSED: dict[str, str] = {
    # Not criteria at all
    "": "no valid JSON",
    "{": "no valid JSON",
    "[]": "JSON object",
    "5": "JSON object",
    "null": "JSON object",
    "[" * 50_000: "nested too deeply",
    '{"all":' * 10_000: "nested too deeply",
    " " * 200_000: "too long",
    '{"minOrders": 1, "minOrders": 2}': 'twice: "minOrders"',
    '{"all": [], "any": []}': "stands alone",
    '{"all": [], "minOrders": 1}': 'not beside "minOrders"',
    '{"all": []}': "at least one",
    '{"any": []}': "at least one",
    '{"any": [{"all": []}]}': "at least one",
    '{"any": [{"field": "city"}]}': '"any" is a group',
    '{"all": {"field": "city"}}': "is a list",
    '{"all": ["city"]}': "rule 1 of group 1 is a JSON object",
    json.dumps({"all": [{"field": "city", "operator": "is_null"}] * 201}): "too many",
    json.dumps({"any": [{"all": [{"field": "city", "operator": "is_null"}] * 21}]}): "21 rules in one group",
    # Unknown names
    '{"minOrderz": 1}': "minOrders",
    one(field="shoe_size", operator="=", value=1): "total_spent",
    one(field=["city"], operator="=", value=1): "unknown field",
    one(operator="=", value=1): "unknown field null",
    one(field="city", operator="like", value="%"): "contains",
    one(field="city", operator="<", value="A"): "contains",
    one(field="city", value="A"): "no operator null",
    one(field="order_count", operator=["="], value=1): "no operator",
    one(field="age", operator="top_percent", value=10): "no operator",
    one(field="tags", operator="=", value="x"): "contains",
    one(field="city", operator="=", value="A", vaule="B"): "sum_property",
    # Wrong values
    '{"minOrders": "5"}': "minOrders: the value of order_count >= is a number",
    '{"minOrders": true}': "is a number",
    '{"minOrders": [5]}': "is a number",
    '{"minOrders": {"a": 5}}': "is a number",
    '{"minOrders": null}': "is missing",
    '{"minOrders": NaN}': "no number",
    '{"minOrders": Infinity}': "no number",
    '{"minOrders": -Infinity}': "no number",
    '{"minOrders": 1e400}': "1000000000000",
    '{"minOrders": 1e999999999}': "1000000000000",
    '{"minOrders": 1e99999999999999999999}': "num",
    '{"minOrders": 1e-400}': "0.000000001",
    '{"minOrders": ' + "9" * 5_000 + "}": "1000000000000",
    '{"minOrders": 1.00000000000000001}': "15 digits",
    '{"high_churn_risk": false}': "switch",
    '{"high_churn_risk": 1}': "switch",
    '{"loyaltyLevels": "GOLD"}': "list of 1",
    '{"loyaltyLevels": []}': "list of 1",
    '{"loyaltyLevels": [1]}': "is a text",
    '{"loyaltyLevels": ["a|b"]}': "holds a |",
    '{"loyaltyLevels": ["' + "x" * 201 + '"]}': "200 characters",
    one(field="city", operator="=", value=""): "1 to 200",
    one(field="city", operator="=", value="  "): "1 to 200",
    one(field="city", operator="=", value="NULL"): "the word null",
    one(field="city", operator="=", value="a\x00b"): "U+0000",
    one(field="city", operator="=", value="a\nb"): "U+000A",
    one(field="city", operator="=", value="a\x7fb"): "U+007F",
    one(field="city", operator="=", value="a\x85b"): "U+0085",
    one(field="city", operator="=", value="a\u2028b"): "U+2028",
    one(field="city", operator="=", value="\ud800"): "U+D800",
    one(field="city", operator="is_null", value="x"): "takes no value",
    one(field="email_opt_in", operator="=", value="true"): "true or false",
    one(field="email_opt_in", operator="=", value=1): "true or false",
    one(field="total_spent", operator="between", value=[5]): "two ends",
    one(field="total_spent", operator="between", value=[5, 1]): "greater end",
    one(field="total_spent", operator="between", value=[5, None]): "is a number",
    one(field="total_spent", operator="top_percent", value=0): "percentage",
    one(field="total_spent", operator="top_percent", value=101): "percentage",
    one(field="first_order_date", operator="=", value="2024-02-30"): "a date as",
    one(field="first_order_date", operator="=", value="20240230"): "a date as",
    one(field="first_order_date", operator="=", value="\u0662\u0660\u0662\u0664-02-01"): "a date as",
    one(field="first_order_date", operator="=", value=20240201): "a date as",
    one(field="first_order_date", operator="between", value=["2024-02-02", "2024-02-01"]): "greater end",
    one(field="first_order_date", operator="within_days", value=-1): "whole number of days",
    one(field="first_order_date", operator="within_days", value=1.5): "whole number of days",
    one(field="first_order_date", operator="within_days", value=10**9): "whole number of days",
    # Events and segments
    one(field="event_count", operator=">", value=1): "known are page_view",
    one(field="event_count", operator=">", value=1, subject=""): "known are page_view",
    one(field="event_count", operator=">", value=1, subject="purchace"): "purchase",
    one(field="event_count", operator="is_null", subject="purchase"): "no operator",
    one(field="event_count", operator=">", value=1, subject="purchase", match_key="category"): "go together",
    one(field="event_count", operator=">", value=1, subject="purchase", match_value="wine"): "go together",
    one(
        field="event_count", operator=">", value=1, subject="purchase", match_key="colour", match_value="r"
    ): "category",
    one(
        field="event_count", operator=">", value=1, subject="purchase", match_key="lines", match_value="r"
    ): "no match_key",
    one(
        field="event_count", operator=">", value=1, subject="purchase", match_key="category", match_value=""
    ): "1 to 200",
    one(
        field="event_count", operator=">", value=1, subject="purchase", match_key="category", match_value=["a"]
    ): "text",
    one(field="event_count", operator=">", value=1, subject="purchase", sum_property="quantity"): "event_sum",
    one(field="event_sum", operator=">", value=1, subject="purchase", sum_property="order_id"): "discount, quantity",
    one(field="event_sum", operator=">", value=1, subject="purchase", first_day=-1): "whole number of days",
    one(field="event_sum", operator=">", value=1, subject="purchase", first_day=9, last_day=8): "from 9",
    one(field="event_sum", operator=">", value=1, subject="purchase", last_day="9"): "whole number of days",
    one(field="city", operator="=", value="A", subject="purchase"): "takes no subject",
    one(field="city", operator="=", value="A", last_day=3): "takes no last_day",
    one(field="joined_segment", operator="within_days", value=7): "subject of joined_segment",
    one(field="joined_segment", operator="within_days", value=0, subject="at_risk"): "from 1",
    one(field="joined_segment", operator="within_days", value=7, subject="at_risk", last_day=3): "takes no last_day",
}


@pytest.mark.parametrize("criteria", REFUSED, ids=lambda text: text[:60])
def test_what_cannot_be_a_rule_is_refused_with_the_choices(criteria: str) -> None:
    with pytest.raises(CriteriaError) as refused:
        parse_criteria(criteria, CATALOGUE)
    assert REFUSED[criteria] in str(refused.value)
    str(refused.value).encode()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "rule",
    [
        Rule(1, 1, "order_count", "=", "five"),
        Rule(1, 1, "order_count", "=", "1e5"),
        Rule(1, 1, "order_count", "=", ""),
        Rule(1, 1, "email_opt_in", "=", "yes"),
        Rule(1, 1, "shoe_size", "=", "1"),
        Rule(1, 1, "city", "=", "a|b"),
        Rule(1, 1, "city", "=", "A", last_day=5),
        Rule(2, 1, "city", "=", "A"),
        Rule(1, 2, "city", "=", "A"),
    ],
)
def test_rules_edited_by_hand_are_refused_alike(rule: Rule) -> None:
    with pytest.raises(CriteriaError):
        check_rules([rule], CATALOGUE)


# ── Preview: hand-made customers ──────────────────────────────────────────────────────────────

HOSTILE = [
    "'; drop table marts.segment_members; --",
    "') or true or ('",
    "%",
    "_",
    "\\",
    '"',
    "$tenant",
    "{{ 1 }}",
    "🍷",
]


@pytest.fixture(scope="module")
def con() -> duckdb.DuckDBPyConnection:
    """Return a release of one tenant with five customers and another tenant with one, as of 2024-03-01."""
    con = duckdb.connect()
    con.execute("attach ':memory:' as restricted")
    con.execute("create schema marts")
    types = {"number": "double", "flag": "boolean", "text": "varchar", "date": "date", "list": "varchar[]"}
    columns = [f'"{f.name}" {types[f.value_type]}' for f in CATALOGUE.fields.values() if f.value_type in types]
    table = "restricted.main.customer_attributes"
    con.execute(f"create table {table} (user_id varchar, customer_id varchar, as_of_date date, {', '.join(columns)})")
    con.execute(
        f"""
        insert into {table} by name
        select * from (values
            ('shop', 'ann', 10, 1e3, 5, true, 'Paris', 'GOLD', date '2024-02-29', ['Vegan', 'vip'], date '2000-02-29'),
            ('shop', 'bob', 40, 500.0, 2, false, 'paris', 'silver', date '2024-01-21', [], date '1999-03-31'),
            ('shop', 'cat', 40, 500.0, 1, null, 'Rome', null, date '2024-02-20', null, date '1990-04-01'),
            ('shop', 'dan', 200, 0.0, 1, true, null, null, date '2023-08-01', ['100%'], null),
            ('shop', 'eve', null, 0.0, 0, true, 'Oslo', 'gold', null, ['vip'], date '1980-02-28'),
            ('bank', 'ann', 1, 9.0, 1, true, 'Paris', 'gold', date '2024-02-29', null, null)
        ) as t (
            user_id, customer_id, days_since_last_order, total_spent, order_count, email_opt_in, city, loyalty_tier,
            last_order_date, tags, birth_date
        )
        """
    )
    con.execute(
        """
        create table marts.data_as_of as
        select * from (values ('shop', date '2024-03-01'), ('bank', date '2024-03-01')) as t (user_id, as_of_date);
        create table marts.segment_members as
        select * from (values
            ('shop', 'bob', 'at_risk', date '2024-02-24', true, false),
            ('shop', 'cat', 'at_risk', date '2024-02-23', true, false),
            ('shop', 'dan', 'at_risk', date '2024-02-28', true, true),
            ('shop', 'eve', 'at_risk', date '2024-02-28', false, false),
            ('shop', 'ann', 'rich', date '2024-01-01', true, false),
            ('shop', 'bob', 'rich', date '2024-01-01', true, false)
        ) as t (user_id, customer_id, segment_key, joined_date, is_current, is_joined_before_history);
        create table marts.order_lines as
        select * from (values
            ('shop', 'ann', 1, date '2024-02-29', 'p1', 'House wine', 'Wine', 'Acme', 20.0),
            ('shop', 'ann', 1, date '2024-02-29', 'p2', 'Bread', 'Bakery', 'Acme', 5.0),
            ('shop', 'ann', 2, date '2024-02-29', 'p2', 'Bread', 'Bakery', 'Other', 5.0),
            ('shop', 'bob', 3, date '2024-01-21', 'p1', 'House wine', 'WINE', 'Acme', 20.0),
            ('shop', 'cat', 4, date '2024-03-02', 'p1', 'House wine', 'Wine', 'Acme', 20.0)
        ) as t (
            user_id, customer_id, event_id, event_date, product_id, product_name, product_category, brand, gross_amount
        );
        create table marts.customer_behavior_events as
        select * from (values
            ('shop', 'ann', 1, 'review', date '2024-02-29', 'p1', 'x', 'Wine', null, '{"rating": 5}'),
            ('shop', 'bob', 2, 'review', date '2024-02-01', 'p1', 'x', 'Wine', null, '{"rating": 2}'),
            ('shop', 'bob', 3, 'review', date '2024-02-01', 'p1', 'x', 'Wine', null, '{"rating": "many"}'),
            ('shop', 'dan', 4, 'transaction', date '2024-02-01', 'p1', 'x', 'Wine', 12.5, null)
        ) as t (
            user_id, customer_id, id, event_type, event_date, product_id, product_name, product_category, event_value,
            event_properties
        );
        """
    )
    return con


def members(con: duckdb.DuckDBPyConnection, criteria: str, tenant: str = "shop") -> str:
    """Return the members' initials."""
    query = MembershipQuery(CATALOGUE, tenant)
    rows = con.execute(query.sql(parse_criteria(criteria, CATALOGUE)), query.parameters).fetchall()
    assert len(rows) == (5 if tenant == "shop" else 6)
    return "".join(sorted(customer_id[0] for _, customer_id, is_member in rows if is_member))


MEMBERS: dict[str, str] = {
    one(field="days_since_last_order", operator="=", value=40): "bc",
    one(field="days_since_last_order", operator="!=", value=40): "ad",
    one(field="days_since_last_order", operator="<", value=40): "a",
    one(field="days_since_last_order", operator=">=", value=40): "bcd",
    one(field="days_since_last_order", operator="between", value=[10, 40]): "abc",
    one(field="days_since_last_order", operator="in", value=[10, 200]): "ad",
    one(field="days_since_last_order", operator="not_in", value=[10, 200]): "bc",
    one(field="days_since_last_order", operator="is_null"): "e",
    one(field="days_since_last_order", operator="is_not_null"): "abcd",
    # Of four buyers fewer than 10 % (25 %, 26 %) are better; equal values go together; eve is no buyer.
    one(field="total_spent", operator="top_percent", value=10): "a",
    one(field="total_spent", operator="top_percent", value=25): "a",
    one(field="total_spent", operator="top_percent", value=26): "abc",
    one(field="total_spent", operator="top_percent", value=100): "abcd",
    one(field="total_spent", operator="bottom_percent", value=26): "bcd",
    one(field="email_opt_in", operator="=", value=True): "ade",
    one(field="email_opt_in", operator="!=", value=True): "b",
    one(field="email_opt_in", operator="is_null"): "c",
    one(field="city", operator="=", value="PARIS"): "ab",
    one(field="city", operator="!=", value="PARIS"): "ce",
    one(field="city", operator="in", value=["rome", "Oslo"]): "ce",
    one(field="city", operator="not_in", value=["rome", "Oslo"]): "ab",
    one(field="city", operator="contains", value="o"): "ce",
    one(field="tags", operator="contains", value="VIP"): "ae",
    one(field="tags", operator="contains", value="vi"): "",
    one(field="tags", operator="is_null"): "c",
    one(field="last_order_date", operator=">", value="2024-02-20"): "a",
    one(field="last_order_date", operator="between", value=["2024-01-21", "2024-02-20"]): "bc",
    one(field="last_order_date", operator="within_days", value=10): "ac",
    one(field="last_order_date", operator="within_days", value=9): "a",
    one(field="birth_date", operator="anniversary_within_days", value=29): "",
    one(field="birth_date", operator="anniversary_within_days", value=30): "b",
    one(field="birth_date", operator="anniversary_within_days", value=31): "bc",
    one(field="birth_date", operator="anniversary_within_days", value=363): "bc",
    # 28 February 2025, also of who was born on 29 February.
    one(field="birth_date", operator="anniversary_within_days", value=364): "abce",
    one(
        field="event_count", operator="=", value=0, subject="purchase", match_key="category", match_value="wine"
    ): "cde",
    one(field="event_count", operator="=", value=2, subject="purchase"): "a",
    one(field="event_days", operator="=", value=1, subject="purchase"): "ab",
    one(field="event_sum", operator="=", value=30, subject="purchase"): "a",
    one(field="event_count", operator=">=", value=1, subject="purchase", last_day=29): "a",
    one(field="event_count", operator=">=", value=1, subject="purchase", first_day=30): "b",
    one(field="event_count", operator=">=", value=1, subject="purchase", first_day=40, last_day=40): "b",
    one(field="event_count", operator="=", value=1, subject="purchase", match_key="brand", match_value="ACME"): "ab",
    one(field="event_count", operator="=", value=1, subject="purchase", match_key="product", match_value="P1"): "ab",
    one(field="event_count", operator="=", value=2, subject="purchase", match_key="product", match_value="bread"): "a",
    one(field="event_count", operator="=", value=1, subject="review", match_key="rating", match_value=5): "a",
    one(field="event_sum", operator="=", value=2, subject="review", sum_property="rating"): "b",
    one(field="event_sum", operator="between", value=[12, 13], subject="transaction"): "d",
    # Of those who meet the other rules only.
    json.dumps(
        {
            "any": [
                {
                    "all": [
                        {"field": "event_count", "operator": ">", "value": 0, "subject": "purchase"},
                        {"field": "city", "operator": "=", "value": "paris"},
                        {"field": "total_spent", "operator": "top_percent", "value": 10},
                    ]
                },
                {
                    "all": [
                        {"field": "event_count", "operator": "=", "value": 0, "subject": "purchase"},
                        {"field": "city", "operator": "!=", "value": "oslo"},
                    ]
                },
            ]
        }
    ): "ac",
    # bob joined on the first of the last seven days, cat the day before, of dan nobody knows when.
    one(field="joined_segment", operator="within_days", value=7, subject="at_risk"): "b",
    one(field="joined_segment", operator="within_days", value=8, subject="at_risk"): "bc",
    json.dumps(
        {
            "any": [
                {
                    "all": [
                        {"field": "city", "operator": "=", "value": "paris"},
                        {"field": "total_spent", "operator": ">=", "value": 600},
                    ]
                },
                {"all": [{"field": "tags", "operator": "contains", "value": "100%"}]},
            ]
        }
    ): "ad",
}


@pytest.mark.parametrize("criteria", MEMBERS)
def test_preview_finds_the_members(criteria: str, con: duckdb.DuckDBPyConnection) -> None:
    assert members(con, criteria) == MEMBERS[criteria]


def test_other_tenants_customers_are_others(con: duckdb.DuckDBPyConnection) -> None:
    assert members(con, one(field="total_spent", operator="top_percent", value=1), tenant="*") == "aa"
    assert members(con, one(field="event_count", operator=">", value=0, subject="purchase"), tenant="*") == "ab"


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_values_are_values(hostile: str, con: duckdb.DuckDBPyConnection) -> None:
    event = {"field": "event_count", "operator": ">", "value": 0, "subject": "review", "match_key": "comment"}
    for criteria in (
        one(field="city", operator="contains", value=hostile),
        one(field="city", operator="in", value=[hostile, "nowhere"]),
        one(**event, match_value=hostile),
        one(field="joined_segment", operator="within_days", value=7, subject=hostile),
    ):
        query = MembershipQuery(CATALOGUE, "shop")
        sql = query.sql(parse_criteria(criteria, CATALOGUE))
        assert hostile in query.parameters.values() or hostile.lower() in query.parameters.values()
        assert len(hostile) == 1 or hostile == "$tenant" or hostile not in sql
        assert members(con, criteria) == ""
    assert members(con, one(field="tags", operator="contains", value=hostile)) == ""
    assert con.execute("select count(*) from marts.segment_members").fetchall() == [(6,)]


def test_no_rule_without_a_known_operator_becomes_sql() -> None:
    with pytest.raises(SegmentError):
        MembershipQuery(CATALOGUE, "*").sql([Rule(1, 1, "city", "= '' or true --", "x")])


def test_preview_counts_compares_and_samples(con: duckdb.DuckDBPyConnection) -> None:
    criteria = one(field="total_spent", operator=">=", value=500)
    seen = preview(con, parse_criteria(criteria, CATALOGUE), CATALOGUE, tenant="shop", published_key="at_risk")
    assert (seen.size, seen.customers, seen.share) == (3, 5, 0.6)
    assert (seen.joining, seen.leaving) == (1, 1)
    assert [(o.segment_key, o.members, o.both, o.jaccard) for o in seen.overlaps] == [("rich", 2, 2, 2 / 3)]
    assert seen.sample == (("shop", "ann"), ("shop", "bob"), ("shop", "cat"))
    assert seen.lines()[0] == "3 of 5 customers (60.0%)"


def test_preview_of_a_release_without_segments_says_so() -> None:
    with duckdb.connect() as con, pytest.raises(SegmentError, match="knows no segments yet"):
        preview(con, (), CATALOGUE)


def test_every_operator_of_every_field_becomes_sql(con: duckdb.DuckDBPyConnection) -> None:
    examples = {"number": 1, "flag": True, "text": "x", "list": "x", "date": "2024-01-01", "event": 1, "segment": 1}
    for field in CATALOGUE.fields.values():
        for operator in field.operators:
            value: object = examples[field.value_type]
            if operator.endswith("within_days"):
                value = 3
            if operator in {"between", "in", "not_in"}:
                value = [value, value]
            subject = {"event": "review", "segment": "at_risk"}.get(field.value_type)
            members(
                con,
                one(
                    field=field.name,
                    operator=operator,
                    value=None if operator in NULL_TESTS else value,
                    subject=subject,
                ),
            )


def test_catalogue_is_typed() -> None:
    assert isinstance(CATALOGUE, Catalogue)
    assert CATALOGUE.fields["total_spent"].is_rankable
    assert {name for name, field in CATALOGUE.fields.items() if field.is_restricted} == {
        "age",
        "birth_date",
        "distance_km",
    }
