"""Ten customers of a made-up café, small enough to check every figure by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestration.sample_data.files import CUSTOMER_COLUMNS, EVENT_COLUMNS, make_folder, write_csv, write_organization

if TYPE_CHECKING:
    from pathlib import Path

CORNER_CAFE = "corner_cafe"

_CAFE_MENU = {
    "p1": ("Espresso", "Coffee"),
    "p2": ("Croissant", "Bakery"),
    "p3": ("Brunch", "Kitchen"),
    "p4": ("Beans 1 kg", "Coffee"),
    "p5": ("Quiche", "Kitchen"),
}

# id | customer | category | type | UTC | session | product | value | properties
_CAFE_EVENTS = """
e01 | ana  | store   | purchase        | 2024-01-15 12:10:00 |      | p3 | 18.00 | {"order_id": "a1"}
e02 | ana  | store   | purchase        | 2024-02-12 12:05:00 |      | p3 | 36.00 | {"order_id": "a2", "quantity": 2}
e03 | ana  | store   | purchase        | 2024-03-11 12:20:00 |      | p3 | 18.00 | {"order_id": "a3"}
e04 | ana  | store   | purchase        | 2024-04-15 11:15:00 |      | p3 | 18.00 | {"order_id": "a4"}
e05 | ana  | store   | purchase        | 2024-05-20 10:30:00 |      | p4 | 21.60 | {"order_id": "a5", "discount": 2.4}
e06 | ana  | email   | email_sent      | 2024-06-01 08:00:00 |      |    |       | {"campaign_id": "summer", "message_id": "m1"}
e07 | ana  | email   | email_open      | 2024-06-01 09:10:00 |      |    |       | {"campaign_id": "summer", "message_id": "m1"}
e08 | ana  | email   | email_click     | 2024-06-01 09:11:00 | s-a7 |    |       | {"campaign_id": "summer", "message_id": "m1"}
e09 | ana  | website | page_view       | 2024-06-28 10:30:00 | s-a8 |    |       |
e10 | ana  | website | product_view    | 2024-06-28 10:32:00 | s-a8 | p3 |       |
e11 | ana  | website | purchase        | 2024-06-28 10:40:00 | s-a8 | p3 | 18.00 | {"order_id": "a6"}
e12 | ana  | website | review          | 2024-06-29 17:00:00 | s-a9 | p3 |       | {"rating": 5, "comment": "the best brunch in town"}
e13 | ana  | website | survey_response | 2024-06-29 17:02:00 | s-a9 |    |       | {"survey_type": "nps", "score": 10}
e14 | ben  | ads     | ad_click        | 2024-03-05 09:00:00 | s-b1 |    |       |
e15 | ben  | website | page_view       | 2024-03-05 09:01:00 | s-b1 |    |       |
e16 | ben  | website | purchase        | 2024-03-05 09:04:00 | s-b1 | p1 | 2.50  | {"order_id": "b1"}
e17 | cleo | website | page_view       | 2024-05-03 18:00:00 | s-c1 |    |       |
e18 | cleo | website | product_view    | 2024-05-03 18:02:00 | s-c1 | p4 |       |
e19 | cleo | website | wishlist        | 2024-05-03 18:03:00 | s-c1 | p4 |       |
e20 | cleo | website | product_view    | 2024-06-10 18:30:00 | s-c2 | p4 |       |
e21 | cleo | website | add_to_cart     | 2024-06-10 18:31:00 | s-c2 | p4 |       |
e22 | cleo | website | page_view       | 2024-06-25 19:00:00 | s-c3 |    |       |
e23 | dan  | store   | purchase        | 2024-04-02 14:00:00 |      | p4 | 24.00 | {"order_id": "d1"}
e24 | dan  | store   | refund          | 2024-04-10 09:00:00 |      | p4 | 10.00 | {"order_id": "d1"}
e25 | dan  | store   | purchase        | 2024-05-02 07:00:00 |      | p2 | 4.00  | {"order_id": "d2", "quantity": 2}
e26 | eva  | store   | purchase        | 2024-05-14 11:00:00 |      | p5 | 9.50  | {"order_id": "e1"}
e27 | eva  | store   | return          | 2024-05-16 11:00:00 |      | p5 | 7.00  | {"order_id": "x9"}
e28 | finn | website | purchase        | 2024-06-08 10:00:00 | s-f1 | p3 | 18.00 | {"order_id": "f1"}
e29 | finn | website | purchase        | 2024-06-08 10:00:05 | s-f1 | p1 | 2.50  | {"order_id": "f1"}
e30 | gia  | website | page_view       | 2024-06-14 21:50:00 | s-g1 |    |       |
e31 | gia  | website | product_view    | 2024-06-14 21:58:00 | s-g1 | p4 |       |
e32 | gia  | website | add_to_cart     | 2024-06-14 22:06:00 | s-g1 | p4 |       |
e33 | gia  | website | purchase        | 2024-06-14 22:10:00 | s-g1 | p4 | 24.00 | {"order_id": "g1"}
e34 | ines | store   | purchase        | 2023-11-20 12:00:00 |      | p5 | 9.50  | {"order_id": "i1"}
e35 | ines | store   | purchase        | 2023-12-18 12:00:00 |      | p5 | 19.00 | {"order_id": "i2", "quantity": 2}
e36 | ines | email   | email_sent      | 2024-06-01 08:00:00 |      |    |       | {"campaign_id": "summer", "message_id": "m2"}
e37 | jon  | website | page_view       | 2024-06-20 10:10:00 |      |    |       |
e38 | jon  | website | purchase        | 2024-06-20 10:15:00 |      |    | 31.50 | {"order_id": "j1", "lines": [{"product_id": "p4", "product_name": "Beans 1 kg", "product_category": "Coffee", "quantity": 1, "value": 24.0, "discount": 0}, {"product_id": "p5", "product_name": "Quiche", "product_category": "Kitchen", "quantity": 1, "value": 7.5, "discount": 2.0}]}
e39 | jon  |         | points_earned   | 2024-06-20 10:15:01 |      |    |       | {"points": 31, "order_id": "j1"}
e40 | jon  | website | share           | 2024-06-20 10:20:00 |      | p4 |       |
e41 | jon  | website | page_view       | 2024-06-30 16:00:00 |      |    |       |
"""  # noqa: E501 - a table is read by its columns

# customer | name | birth date | gender | signup (UTC) | e-mail opt-in | SMS opt-in | tier | points | VIP | attributes
_CAFE_CUSTOMERS = """
ana  | Ana Moreau     | 1988-06-12 | female | 2024-01-15 12:00:00 | true  | true  | gold   | 130 | true  | {"dietary_preference": "vegetarian", "preferred_channel": "email"}
ben  | Ben Laurent    |            | male   | 2024-03-05 09:00:00 | false | false |        |     | false |
cleo | Cleo Petit     | 1999-11-02 | female | 2024-05-03 17:59:00 | true  | false |        |     | false | {"preferred_channel": "email"}
dan  | Dan Girard     | 1975-02-28 | male   | 2024-04-02 13:55:00 | false | true  | bronze | 18  | false | {"preferred_channel": "sms"}
eva  | Eva Roux       |            | female | 2024-05-14 10:50:00 | false | false |        |     | false |
finn | Finn Mercier   | 2001-07-21 | male   | 2024-06-08 09:58:00 | true  | true  | bronze | 20  | false | {"dietary_preference": "gluten_free"}
gia  | Gia Fontaine   | 1993-01-30 | female | 2024-06-14 21:50:00 | true  | false | bronze | 24  | false |
hugo | Hugo Chevalier | 1966-09-09 | male   | 2024-06-18 08:00:00 | true  | true  |        |     | false | {"dietary_preference": "vegan"}
ines | Ines Faure     | 1990-04-17 | female | 2023-11-20 11:50:00 | true  | false | silver | 28  | false |
jon  | Jon Bonnet     |            | other  | 2024-06-20 10:09:00 | false | false | bronze | 31  | false | {"preferred_channel": "app"}
"""  # noqa: E501 - a table is read by its columns


def write_ten_customers(raw_dir: Path) -> None:
    """Write ten customers of the made-up café `corner_cafe` (Europe/Paris, EUR): 41 events.

    Expected, as of 2024-06-30 (the last local event date):

    | customer | what it shows                          | orders | gross  | refunds | net    |
    |----------|----------------------------------------|--------|--------|---------|--------|
    | ana      | champion; opened and clicked an e-mail |      6 | 129.60 |       0 | 129.60 |
    | ben      | one-time buyer, came by an ad          |      1 |   2.50 |       0 |   2.50 |
    | cleo     | window shopper, abandoned a cart       |      0 |      0 |       0 |      0 |
    | dan      | refund of a part of order d1           |      2 |  28.00 |   10.00 |  18.00 |
    | eva      | unmatched return (order x9)            |      1 |   9.50 |    7.00 |   2.50 |
    | finn     | an order of two lines in two events    |      1 |  20.50 |       0 |  20.50 |
    | gia      | one session over local midnight; the   |      1 |  24.00 |       0 |  24.00 |
    |          | order's local date is 2024-06-15       |        |        |         |        |
    | hugo     | in the customers feed only             |      0 |      0 |       0 |      0 |
    | ines     | silent for 195 days, still mailed      |      2 |  28.50 |       0 |  28.50 |
    | jon      | an order of two `lines[]`, no session  |      1 |  31.50 |       0 |  31.50 |
    |          | ids                                    |        |        |         |        |
    | all      | 8 buyers, 17 order lines, 21 sessions  |     15 | 274.10 |   17.00 | 257.10 |

    Sessions count purchases and other acts of the customer, not sends, opens, points and refunds.
    """
    events = [_cafe_event(*cells) for cells in _table_cells(_CAFE_EVENTS)]
    customers = [_cafe_customer(*cells) for cells in _table_cells(_CAFE_CUSTOMERS)]
    write_csv(make_folder(raw_dir, "events", CORNER_CAFE) / "events.csv", EVENT_COLUMNS, events)
    write_csv(make_folder(raw_dir, "customers", CORNER_CAFE) / "customers.csv", CUSTOMER_COLUMNS, customers)
    write_organization(
        raw_dir,
        {
            "user_id": CORNER_CAFE,
            "name": "Corner Café",
            "org_type": "ecommerce",
            "timezone": "Europe/Paris",
            "currency": "EUR",
            "latitude": 48.8566,
            "longitude": 2.3522,
            "gross_margin_rate": 0.6,
            "updated_at": "2023-11-01 00:00:00",
        },
    )


def _table_cells(table: str) -> list[list[str]]:
    """Split a text table into the stripped cells of its rows."""
    return [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()]


def _cafe_event(  # noqa: PLR0913, PLR0917 - the columns of the table
    event_id: str,
    customer_id: str,
    category: str,
    event_type: str,
    created_at: str,
    session_id: str,
    product_id: str,
    value: str,
    properties: str,
) -> dict[str, str]:
    product_name, product_category = _CAFE_MENU.get(product_id, ("", ""))
    is_online = category in {"website", "ads"}
    return {
        "id": event_id,
        "user_id": CORNER_CAFE,
        "customer_id": customer_id,
        "event_type": event_type,
        "event_category": category,
        "product_id": product_id,
        "product_name": product_name,
        "product_category": product_category,
        "event_value": value,
        "event_properties": properties,
        "page_url": "https://cafe.example/?utm_source=google&utm_medium=cpc"
        if category == "ads"
        else "https://cafe.example/"
        if is_online
        else "",
        "device_type": "mobile" if is_online else "",
        "session_id": session_id,
        "created_at": created_at,
    }


def _cafe_customer(  # noqa: PLR0913, PLR0917 - the columns of the table
    customer_id: str,
    name: str,
    birth_date: str,
    gender: str,
    signup_at: str,
    email_opt_in: str,
    sms_opt_in: str,
    loyalty_tier: str,
    loyalty_points: str,
    is_vip: str,
    attributes: str,
) -> dict[str, str]:
    return {
        "user_id": CORNER_CAFE,
        "customer_id": customer_id,
        "email": f"{customer_id}@example.com",
        "name": name,
        "birth_date": birth_date,
        "gender": gender,
        "country": "FR",
        "city": "Paris",
        "signup_at": signup_at,
        "email_opt_in": email_opt_in,
        "sms_opt_in": sms_opt_in,
        "loyalty_tier": loyalty_tier,
        "loyalty_points": loyalty_points,
        "is_vip": is_vip,
        "attributes": attributes,
        "updated_at": signup_at,
    }
