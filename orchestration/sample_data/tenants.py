"""The made-up companies of the generator: a shop, a bank and a mobile network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


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
    buying_visits_per_day: float
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
    events_per_active_day=0.171,
    median_visits_per_day=0.018,
    buying_visits_per_day=0.03,
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
    events_per_active_day=0.232,
    median_visits_per_day=0.015,
    buying_visits_per_day=0.085,
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
    events_per_active_day=0.25,
    median_visits_per_day=0.01,
    buying_visits_per_day=0.045,
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
