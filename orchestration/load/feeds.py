"""The feeds: which columns their files have, which rows are rejected, what makes a row unique."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

Kind = Literal["text", "time", "date", "number", "money", "flag", "object", "list", "word", "key"]
"""A `key` is text without white space around it; where nothing else is left, it is empty."""
ORG_TYPES = ("banking", "telecom", "ecommerce")
MAX_EVENT_VALUE = 1e9
"""Currency units; a larger single event is taken for a fault of the source."""


@dataclass(frozen=True)
class Column:
    """A column of a raw table and how a file's value becomes one of its values.

    `source` is its name in files where that differs; `default` is SQL for an empty value.
    """

    name: str
    kind: Kind = "text"
    source: str = ""
    default: str = ""

    @property
    def source_name(self) -> str:
        """Return the column's name in files."""
        return self.source or self.name


@dataclass(frozen=True)
class Rule:
    """Why a row is rejected: SQL over the typed row and its `source_…` values, true when broken.

    In it, `{latest}` is the load's time plus the tolerated day, and `{today}` the load's UTC date.
    """

    name: str
    detail: str
    condition: str


@dataclass(frozen=True)
class Feed:
    """What files of a feed hold; `key` names one thing that rows of a dimension feed describe."""

    name: str
    columns: tuple[Column, ...]
    required: tuple[str, ...]
    rules: tuple[Rule, ...]
    extras: str = ""
    key: tuple[str, ...] = ()

    @property
    def table(self) -> str:
        """Return the raw table that the feed fills."""
        return f"raw.{self.name}"

    @property
    def duplicates(self) -> str:
        """Return the raw table of rows that repeat others."""
        return f"raw.duplicate_{self.name}"

    @property
    def is_dimension(self) -> bool:
        """Say whether rows are versions of a thing rather than events."""
        return bool(self.key)

    @property
    def content(self) -> tuple[str, ...]:
        """Return the columns that make two rows the same, but for ids and a version's time."""
        outside = {"source_event_id", "updated_at"}
        return tuple(c.name for c in self.columns if c.name not in outside)


def _missing(column: str) -> Rule:
    return Rule(f"missing_{column}", f"{column} is empty", f"{column} is null")


def _unreadable(column: str, kind: Kind) -> Rule:
    """Return the rule for a value that is there but cannot be read as what it should be."""
    broken = {
        "time": f"not coalesce({column} between timestamp '1900-01-01' and {{latest}}, false)",
        "date": f"not coalesce({column} between date '1900-01-01' and {{today}}, false)",
        "number": f"not coalesce(isfinite({column}), false)",
        "object": f"not coalesce(starts_with({column}, '{{'), false)",
        "list": f"not coalesce(starts_with({column}, '['), false)",
    }.get(kind, f"{column} is null")
    name, what = {
        "time": ("unreadable_timestamp", "time from 1900 until the load plus one day"),
        "date": ("unreadable_date", "date from 1900 until the load"),
        "number": ("unreadable_number", "finite number"),
        "flag": ("unreadable_boolean", "boolean"),
        "object": ("unreadable_json", "JSON object"),
        "list": ("unreadable_json", "list"),
    }[kind]
    condition = f"source_{column} is not null and {broken}"
    return Rule(name, f"{column} is not a readable {what}", condition)


def _unreadables(columns: Iterable[Column]) -> tuple[Rule, ...]:
    return tuple(_unreadable(c.name, c.kind) for c in columns if c.kind not in {"text", "key", "word", "money"})


@cache
def known_properties() -> frozenset[str]:
    """Return the event properties that the seed event_properties describes."""
    seed = Path(__file__).parents[2] / "seeds" / "events" / "event_properties.csv"
    with seed.open(encoding="utf-8", newline="") as file:
        return frozenset(row["property"] for row in csv.DictReader(file))


_TENANT = Column("user_id", "key", default="'default'")
_VERSION = Column("updated_at", "time", default="{loaded_at}")
_NUMBER = "try_cast(source_event_value as double)"

EVENTS = Feed(
    name="events",
    columns=(
        Column("source_event_id", "key", source="id"),
        _TENANT,
        Column("customer_id", "key"),
        Column("event_type", "key"),
        Column("event_category"),
        Column("product_id", "key"),
        *map(Column, ("product_name", "product_category")),
        Column("event_value", "money"),
        Column("event_properties", "object"),
        *map(Column, ("page_url", "referrer_url", "ip_address", "user_agent")),
        *map(Column, ("device_type", "browser", "os")),
        Column("location", "object"),
        Column("session_id", "key"),
        Column("created_at", "time"),
    ),
    required=("customer_id", "event_type", "created_at"),
    extras="event_properties",
    rules=(
        _missing("customer_id"),
        _missing("event_type"),
        Rule("unreadable_timestamp", "created_at is empty or no readable time", "created_at is null"),
        Rule(
            "future_timestamp",
            "created_at is later than the load plus one day",
            "created_at > {latest}",
        ),
        Rule(
            "timestamp_before_1970",
            "created_at is before 1970",
            "created_at < timestamp '1970-01-01'",
        ),
        Rule(
            "value_not_a_number",
            "event_value is not a number",
            f"source_event_value is not null and {_NUMBER} is null",
        ),
        Rule("value_negative", "event_value is below zero", f"{_NUMBER} < 0"),
        Rule("value_not_finite", "event_value is not finite", f"not isfinite({_NUMBER})"),
        Rule("value_above_limit", "event_value is above 1e9", f"{_NUMBER} > {MAX_EVENT_VALUE:.0f}"),
        _unreadable("event_properties", "object"),
        _unreadable("location", "object"),
    ),
)

_CUSTOMER_COLUMNS = (
    _TENANT,
    Column("customer_id", "key"),
    *map(Column, ("email", "phone", "name")),
    Column("birth_date", "date"),
    *map(Column, ("gender", "country", "city")),
    Column("latitude", "number"),
    Column("longitude", "number"),
    Column("signup_at", "time"),
    Column("email_opt_in", "flag"),
    Column("sms_opt_in", "flag"),
    Column("loyalty_tier"),
    Column("loyalty_points", "number"),
    Column("is_vip", "flag"),
    Column("tags", "list"),
    Column("attributes", "object"),
    _VERSION,
)

CUSTOMERS = Feed(
    name="customers",
    columns=_CUSTOMER_COLUMNS,
    required=("customer_id",),
    extras="attributes",
    key=("user_id", "customer_id"),
    rules=(_missing("customer_id"), *_unreadables(_CUSTOMER_COLUMNS)),
)

_ORGANIZATION_COLUMNS = (
    Column("user_id", "key"),
    Column("name"),
    Column("org_type", "word"),
    *map(Column, ("timezone", "currency")),
    Column("latitude", "number"),
    Column("longitude", "number"),
    Column("gross_margin_rate", "number"),
    _VERSION,
)

ORGANIZATIONS = Feed(
    name="organizations",
    columns=_ORGANIZATION_COLUMNS,
    required=("user_id",),
    key=("user_id",),
    rules=(
        _missing("user_id"),
        Rule(
            "unknown_timezone",
            "timezone is not an IANA name",
            "timezone not in (select name from pg_timezone_names())",
        ),
        Rule(
            "unknown_org_type",
            f"org_type is none of {', '.join(ORG_TYPES)}",
            f"org_type not in {ORG_TYPES}",
        ),
        *_unreadables(_ORGANIZATION_COLUMNS),
    ),
)
FEEDS = {feed.name: feed for feed in (EVENTS, CUSTOMERS, ORGANIZATIONS)}
