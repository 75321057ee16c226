"""Raw rows for the small warehouse: two tenants with the same customer ids, and personal data wherever it gets in."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from small_warehouse import LOADED_AT, assignment, customer, event, organization, score

if TYPE_CHECKING:
    from small_warehouse import Row, SmallWarehouse

LAST_DAY = datetime(2024, 11, 9, tzinfo=UTC)
CUSTOMERS = 12
MANUAL = "vip_by_hand"
"""The shipped segment that people are put into by hand."""
LEAKS = {
    "e-mail in a JSON key's value": "jane.key@example.com",
    "e-mail in a JSON text": "jane.value@example.com",
    "e-mail in a URL": "jane.url@example.com",
    "e-mail in a product name": "jane.product@example.com",
    "e-mail in a tag": "jane.tag@example.com",
    "e-mail of a profile": "jane.profile@example.com",
    "phone in a URL": "+4915112345678",
    "phone in a JSON text": "+49 151 87654321",
    "phone in an attribute": "030 5556667",
    "phone of a profile": "+49 30 1112223",
    "card number in a JSON text": "4111 1111 1111 1111",
    "name under a nested key": "Janine Mustermann",
    "name of a profile": "Jane Musterfrau",
    "birth date of a profile": "1987-11-25",
    "IPv4 address": "203.0.113.77",
    "IPv4 address with a port": "198.51.100.42",
    "IPv6 address": "8a2e:370:7348",
    "latitude of an event": "52.520008",
    "longitude of an event": "13.404954",
    "latitude of a profile": "52.537154",
    "longitude of a profile": "13.444915",
    "street of a location": "Musterallee 7",
    "build of a device": "TQ3A.230805.001",
    "secret in a URL": "s3cr3t-token",
    "e-mail of an assignment's actor": "actor@example.com",
    "phone in an assignment's reason": "+49 40 7654321",
    "text of a rejected row": "rejected.jane@example.com",
    "e-mail as an unknown customer's key": "unknown.jane@example.com",
    "e-mail as the key in a rejected row": "key.jane@example.com",
}
"""Personal data by where it hides; each stands somewhere in the raw tables and in no public mart."""


def fill(warehouse: SmallWarehouse) -> None:
    """Load the rows, and give the ledgers of rejects and runs a row."""
    warehouse.load(
        organizations=[
            organization(
                "shop",
                "2024-01-01",
                org_type="ecommerce",
                timezone="Europe/Berlin",
                currency="EUR",
                name="Shop",
                latitude=52.52,
                longitude=13.405,
            )
        ],
        customers=_profiles(),
        events=[*_ordinary_events("shop"), *_ordinary_events("bank"), *_events_with_personal_data()],
        segment_assignments=_assignments(),
        churn_scores=[
            score("customer-05", "2024-11-01", churn_score=0.45),
            score("customer-07", "2024-11-01", churn_score=30, scale="100"),
            score("customer-07", LOADED_AT, churn_score=0.2),
            score("customer-06", "2024-11-10 12:00:00", churn_score=0.9),
            score(LEAKS["e-mail as an unknown customer's key"], LOADED_AT, churn_score=0.5),
        ],
        ltv_predictions=[
            score(
                "customer-06",
                LOADED_AT,
                current_ltv=300,
                predicted_ltv_1year=400,
                predicted_ltv_3year=500,
                predicted_ltv_5year=500,
                churn_probability=0.15,
                growth_potential="high",
                confidence_score=0.87,
            )
        ],
    )
    warehouse.execute(
        """
        insert into raw.rejected_rows values
            ('events', 3, 3, 'events/3.csv', 900, 'missing_customer_id', 'customer_id is empty', '2024-11-10 03:00'),
            ('customers', 2, 2, 'customers/2.csv', 901, 'unreadable_date', 'birth_date is no date', '2024-11-10 03:00')
        """,
        f"""
        insert into raw.rejected_rows
        select feed, file_id, load_id, path, 902, 'not_finite',
            'Customer {LEAKS["e-mail as the key in a rejected row"]}: churn_score is not finite', '2024-11-10 03:00'
        from raw.load_ledger where feed in ('churn_scores', 'ltv_predictions')
        """,
        f"insert into restricted.rejected_texts values (3, 900, '{LEAKS['text of a rejected row']}')",
        "update raw.load_ledger set row_count = row_count + 1, rejected_count = 1 where feed <> 'organizations'",
        """
        insert into raw.run_ledger
            (run_id, step, kind, status, row_count, seconds, started_at, code_checksum, is_full_refresh)
        values ('run', 'load', 'load', 'success', 9, 1.5, '2024-11-10 03:00:00', 'abc', false)
        """,
    )


def _at(day: datetime, hour: int, minute: int = 0) -> str:
    return f"{day:%Y-%m-%d} {hour:02}:{minute:02}:00"


def _ordinary_events(user_id: str) -> list[Row]:
    """Return visits, orders, refunds and messages: customer n buys n + 1 times, last n weeks before the end."""
    rows = []
    for number in range(CUSTOMERS):
        who = {"user_id": user_id, "device_type": "mobile", "event_category": "website"}
        name = f"customer-{number:02}"
        for order in range(number + 1):
            day = LAST_DAY - timedelta(days=7 * number + 23 * order)
            order_id = f'{{"order_id":"{name}-{order}"}}'
            page = f"https://shop.example/p/{order}?utm_source=google&utm_medium=cpc"
            rows += [
                event(name, _at(day, 9), page_url=page, **who),
                event(name, _at(day, 9, 1), "product_view", product_category="mugs", **who),
                event(name, _at(day, 9, 2), "add_to_cart", product_category="mugs", **who),
                event(
                    name,
                    _at(day, 9, 5),
                    "purchase",
                    event_value=10 + 5 * number + order,
                    event_properties=order_id,
                    product_id="mug",
                    product_category="mugs",
                    **who,
                ),
                event(name, _at(day, 20), "email_sent", user_id=user_id, event_category="email"),
            ]
            if order % 3 == 1:
                rows.append(event(name, _at(day, 21), "email_open", user_id=user_id, event_category="email"))
                rows.append(event(name, _at(day, 22), "refund", event_value=4, event_properties=order_id, **who))
    rows.append(event("browser", _at(LAST_DAY, 12), user_id=user_id))
    rows.append(event("refunded-only", _at(LAST_DAY, 12), "refund", event_value=9, user_id=user_id))
    rows.append(event("customer-00", _at(LAST_DAY + timedelta(days=1), 1), user_id=user_id))
    lines = '{"order_id":"listed","lines":[{"product_id":"pen","value":3},{"product_id":"mug","value":10}]}'
    rows.append(
        event("customer-01", _at(LAST_DAY, 10), "purchase", event_value=15, event_properties=lines, user_id=user_id)
    )
    return rows


def _profiles() -> list[Row]:
    rows = [
        customer(
            f"customer-{number:02}", "2024-02-01", city="Bonn", gender="f", signup_at="2024-01-15", email_opt_in=True
        )
        for number in range(CUSTOMERS)
    ]
    rows += [customer(f"customer-{number:02}", "2024-06-01", city="Ulm", loyalty_tier="gold") for number in range(4)]
    rows.append(
        customer(
            "jane",
            "2024-02-01",
            email=LEAKS["e-mail of a profile"],
            phone=LEAKS["phone of a profile"],
            name=LEAKS["name of a profile"],
            birth_date=LEAKS["birth date of a profile"],
            latitude=LEAKS["latitude of a profile"],
            longitude=LEAKS["longitude of a profile"],
            tags=f'["vip","{LEAKS["e-mail in a tag"]}"]',
            attributes=f'{{"diet":"vegan","mobile":"{LEAKS["phone in an attribute"]}"}}',
        )
    )
    return rows


def _assignments() -> list[Row]:
    """Return decisions of every outcome."""
    return [
        assignment(MANUAL, "customer-01", "2024-10-01 08:00:00", actor=LEAKS["e-mail of an assignment's actor"]),
        assignment(
            MANUAL, "customer-01", "2024-10-02 08:00:00", reason="call " + LEAKS["phone in an assignment's reason"]
        ),
        assignment(MANUAL, "customer-02", "2024-10-01 08:00:00", actor="ann", reason="press list"),
        assignment(MANUAL, "customer-02", "2024-10-09 08:00:00", "remove", actor="ann"),
        assignment(MANUAL, "customer-01", "2024-10-05 08:00:00", user_id="bank"),
        assignment(MANUAL, "customer-04", "2024-11-10 02:00:00"),
        assignment(MANUAL, "nobody", "2024-10-01 08:00:00"),
        assignment(MANUAL, "customer-01", "2024-10-01 08:00:00", user_id="nobody's shop"),
    ]


def _events_with_personal_data() -> list[Row]:
    """Return one event per hiding place, all of one customer."""
    leak = LEAKS
    columns = [
        {"event_properties": {"email": leak["e-mail in a JSON key's value"], "rating": 5}, "event_type": "review"},
        {"event_properties": {"buyer": {"tier": "gold", "full_name": leak["name under a nested key"]}}},
        {"event_properties": {"comment": f"write to {leak['e-mail in a JSON text']} please"}, "event_type": "feedback"},
        {
            "event_properties": {
                "comment": f"call {leak['phone in a JSON text']} or pay {leak['card number in a JSON text']}"
            }
        },
        {"page_url": f"https://shop.example/unsubscribe/{leak['e-mail in a URL']}?utm_source=letter"},
        {
            "page_url": f"https://shop.example/call/{leak['phone in a URL']}",
            "referrer_url": f"https://a:{leak['secret in a URL']}@b.example/",
        },
        {"product_name": f"Gift for {leak['e-mail in a product name']}"},
        {
            "ip_address": leak["IPv4 address"],
            "user_agent": f"Dalvik/2.1.0 (Android 13; Pixel 7 Build/{leak['build of a device']})",
        },
        {"ip_address": f"{leak['IPv4 address with a port']}:8080"},
        {"ip_address": f"2001:db8:85a3:8d3:1319:{leak['IPv6 address']}"},
        {
            "location": {
                "country": "DE",
                "city": "Berlin",
                "latitude": float(leak["latitude of an event"]),
                "longitude": float(leak["longitude of an event"]),
                "street": leak["street of a location"],
            }
        },
    ]
    return [
        event("jane", _at(LAST_DAY, 14, minute), **{name: _minified(value) for name, value in row.items()})
        for minute, row in enumerate(columns)
    ]


def _minified(value: Any) -> str:  # noqa: ANN401 - text or what JSON can hold
    """Return JSON as the load step leaves it; texts as they are."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
