"""The feeds: which columns their files have, which rows are rejected, what makes a row unique."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Kind = Literal["text", "time", "date", "number", "money", "flag", "object", "list", "word", "key"]
"""A `key` is text without white space around it; where nothing else is left, it is empty."""
ORG_TYPES = ("banking", "telecom", "ecommerce")
ACTIONS = ("add", "remove")
MAX_EVENT_VALUE = 1e9
"""Currency units; a larger single event is taken for a fault of the source."""


@dataclass(frozen=True)
class Column:
    """A column of a raw table and how a file's value becomes one of its values.

    `source` is its name in files where that differs; `default` is SQL for an empty value, in which `{loaded_at}` is the
    load's time and `{tenant}` the first folder of the file's path below its feed's, else the tenant `default`.
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
    rules_of_seeds: tuple[Callable[[], Rule], ...] = ()
    """Rules that hang on seeds, which may change while the process lives: asked for at each load."""
    subject: str = ""
    """Column that names whom a row is about, where the reason for its rejection is to say so."""
    is_unique_in_file: bool = False
    """Whether a file may say one thing of a key only: of several valid rows the first counts, others are rejected."""
    is_about_others: bool = False
    """Whether rows speak of customers whom other feeds bring: they bring no tenant into being, move no clock, and ask
    for no date of the event-level tables to be computed anew."""
    is_audit: bool = False
    """Whether rows tell what was done with a release, not what tenants and customers did: nothing is computed anew for
    them, and they bring no tenant into being."""

    @property
    def all_rules(self) -> tuple[Rule, ...]:
        """Return the rules as they stand now, in the order in which they are looked at."""
        return (*self.rules, *(rule() for rule in self.rules_of_seeds))

    @property
    def reasons(self) -> tuple[Rule, ...]:
        """Return why rows of a file can be rejected: the rules, and of feeds that are unique in files, duplicates."""
        return (*self.all_rules, *((DUPLICATE,) if self.is_unique_in_file else ()))

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


def _missing(column: str, source: str = "") -> Rule:
    return Rule(f"missing_{source or column}", f"{source or column} is empty", f"{column} is null")


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


_SEEDS = Path(__file__).parents[2] / "seeds"


@cache
def known_properties() -> frozenset[str]:
    """Return the event properties that the seed event_properties describes."""
    seed = _SEEDS / "events" / "event_properties.csv"
    with seed.open(encoding="utf-8", newline="") as file:
        return frozenset(row["property"] for row in csv.DictReader(file))


def manual_segments() -> frozenset[tuple[str, str]]:
    """Return tenant (`*`: every one) and key of the manual segments of the seed segments, retired ones too."""
    seed = _SEEDS / "segments" / "segments.csv"
    if not seed.exists():
        return frozenset()
    with seed.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["is_automatic"].lower() == "false"]
    return frozenset((row["user_id"], row["segment_key"]) for row in rows)


def _no_manual_segment() -> Rule:
    """Return the rule that people assign customers to manual segments of their own tenant only."""
    segments = sorted(manual_segments())
    names = ", ".join(key if user_id == "*" else f"{key} (tenant {user_id})" for user_id, key in segments)
    keys = {tenant: [key for user_id, key in segments if user_id == tenant] for tenant, _ in segments}
    found = " or ".join(
        f"(segment_key in {_words(of_tenant)}" + ("" if tenant == "*" else f" and user_id in {_words([tenant])}") + ")"
        for tenant, of_tenant in keys.items()
    )
    detail = f"segment is no manual segment of the tenant: {names or 'there is none'}"
    return Rule("not_a_manual_segment", detail, f"not ({found or 'false'})")


def _words(words: Iterable[str]) -> str:
    """Write words as an SQL list."""
    quoted = ("'" + word.replace("'", "''") + "'" for word in words)
    return f"({', '.join(quoted)})"


_TENANT = Column("user_id", "key", default="'default'")
_TENANT_OR_FOLDER = Column("user_id", "key", default="{tenant}")
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

SEGMENT_ASSIGNMENTS = Feed(
    name="segment_assignments",
    columns=(
        _TENANT,
        Column("segment_key", "key", source="segment"),
        Column("customer_id", "key"),
        Column("action", "word"),
        Column("actor"),
        Column("reason"),
        # When somebody decided it, which makes it the version's time.
        Column("updated_at", "time", source="at", default="{loaded_at}"),
    ),
    required=("segment", "customer_id", "action"),
    key=("user_id", "segment_key", "customer_id"),
    rules=(
        _missing("segment_key", "segment"),
        _missing("customer_id"),
        _missing("action"),
        Rule("unknown_action", f"action is none of {', '.join(ACTIONS)}", f"action not in {ACTIONS}"),
        Rule(
            "unreadable_timestamp",
            "at is not a readable time from 1900 on",
            "source_updated_at is not null and not coalesce(updated_at >= timestamp '1900-01-01', false)",
        ),
        Rule("future_timestamp", "at is later than the load plus one day", "updated_at > {latest}"),
    ),
    rules_of_seeds=(_no_manual_segment,),
    is_about_others=True,
)

DUPLICATE = Rule("duplicate_customer", "stands more than once in the file: the first valid row counts", "false")
"""Why a row of a feed that is unique in its files is rejected; which rows are is found beside the rules."""
HUNDREDS = ("100", "100.0", "0-100")
"""What a file says, in column `scale` or `churn_score_scale`, whose scores go from 0 to 100."""
ONES = ("1", "1.0", "0-1")
_SCALE = "coalesce(scale, churn_score_scale, '1')"


def _finite(column: str) -> tuple[Rule, Rule]:
    """Return the rules that tell text from a number that is none."""
    return (
        Rule("not_a_number", f"{column} is not a number", f"source_{column} is not null and {column} is null"),
        Rule("not_finite", f"{column} is not finite", f"not isfinite({column})"),
    )


def _of_version(column: str, name: str) -> tuple[Rule, Rule]:
    """Return the rules for the time of a version that a file may give under a name."""
    return (
        Rule(
            "unreadable_timestamp",
            f"{name} is not a readable time from 1900 on",
            f"source_{column} is not null and not coalesce({column} >= timestamp '1900-01-01', false)",
        ),
        Rule("future_timestamp", f"{name} is later than the load plus one day", f"{column} > {{latest}}"),
    )


CHURN_SCORES = Feed(
    name="churn_scores",
    columns=(
        _TENANT_OR_FOLDER,
        Column("customer_id", "key"),
        Column("churn_score", "number"),
        Column("scale", "word"),
        Column("churn_score_scale", "word"),
        _VERSION,
    ),
    required=("customer_id", "churn_score"),
    key=("user_id", "customer_id"),
    rules=(
        _missing("customer_id"),
        Rule("missing_churn_score", "churn_score is empty", "source_churn_score is null"),
        *_finite("churn_score"),
        Rule(
            "unknown_scale",
            f"scale is none of {', '.join((*ONES, *HUNDREDS))}",
            f"{_SCALE} not in {_words((*ONES, *HUNDREDS))}",
        ),
        Rule(
            "score_out_of_range",
            "churn_score is not between 0 and 1, and no column `scale` says 0-100",
            f"{_SCALE} in {_words(ONES)} and churn_score not between 0 and 1",
        ),
        Rule("score_out_of_range", "churn_score is not between 0 and 100", "churn_score not between 0 and 100"),
        *_of_version("updated_at", "updated_at"),
    ),
    subject="customer_id",
    is_unique_in_file=True,
    is_about_others=True,
)

GROWTH_POTENTIALS = ("high", "medium", "low")
_LTV = ("current_ltv", "predicted_ltv_1year", "predicted_ltv_3year", "predicted_ltv_5year")
_PROBABILITIES = ("churn_probability", "confidence_score")
_GIVEN = "list_filter([{}], lambda value: value is not null)".format(", ".join(_LTV))

LTV_PREDICTIONS = Feed(
    name="ltv_predictions",
    columns=(
        _TENANT_OR_FOLDER,
        Column("customer_id", "key"),
        *(Column(name, "number") for name in (*_LTV, *_PROBABILITIES)),
        Column("growth_potential", "word"),
        # When the prediction was made, which makes it the version's time.
        Column("updated_at", "time", source="prediction_date", default="{loaded_at}"),
    ),
    required=("customer_id",),
    key=("user_id", "customer_id"),
    rules=(
        _missing("customer_id"),
        *(rule for name in (*_LTV, *_PROBABILITIES) for rule in _finite(name)),
        *(
            Rule("value_out_of_range", f"{name} is not between 0 and 1e9", f"{name} not between 0 and 1e9")
            for name in _LTV
        ),
        *(
            Rule("probability_out_of_range", f"{name} is not between 0 and 1", f"{name} not between 0 and 1")
            for name in _PROBABILITIES
        ),
        Rule(
            "unknown_growth_potential",
            f"growth_potential is none of {', '.join(GROWTH_POTENTIALS)}",
            f"growth_potential not in {GROWTH_POTENTIALS}",
        ),
        Rule(
            "no_prediction",
            "nothing is predicted: every value is empty, but for current_ltv",
            f"coalesce({', '.join((*_LTV[1:], *_PROBABILITIES))}) is null and growth_potential is null",
        ),
        Rule(
            "value_decreases",
            "a total lifetime value is below that of an earlier time",
            f"{_GIVEN} <> list_sort({_GIVEN})",
        ),
        *_of_version("updated_at", "prediction_date"),
    ),
    subject="customer_id",
    is_unique_in_file=True,
    is_about_others=True,
)
# What actions on segments record (orchestration/segments): written by the warehouse itself. The time of the act makes
# the version; a date may be ahead of the load's UTC date by a time zone.
_ACT = (
    Column("user_id", "key"),
    Column("segment_key", "key"),
    Column("segment_id", "key"),
    Column("release_id", "key"),
    Column("as_of_date", "date"),
    Column("actor"),
)
_NO_DATE = Rule(
    "unreadable_date", "as_of_date is not a readable date", "source_as_of_date is not null and as_of_date is null"
)

_EXPORT_COLUMNS = (
    Column("export_id", "key"),
    *_ACT,
    Column("segment_name"),
    *map(Column, ("format", "channel", "recommended_action", "file_name", "sha256")),
    Column("member_count", "number"),
    Column("exported_count", "number"),
    Column("without_consent_count", "number"),
    Column("without_contact_count", "number"),
    Column("is_hashed", "flag"),
    Column("is_all", "flag"),
    Column("updated_at", "time", source="exported_at", default="{loaded_at}"),
)

SEGMENT_EXPORTS = Feed(
    name="segment_exports",
    columns=_EXPORT_COLUMNS,
    required=("user_id", "export_id", "segment_key"),
    key=("user_id", "export_id"),
    rules=(
        *map(_missing, ("user_id", "export_id", "segment_key")),
        _NO_DATE,
        *_unreadables(c for c in _EXPORT_COLUMNS if c.kind != "date"),
    ),
    is_audit=True,
)

_LOOKALIKE_COLUMNS = (
    Column("lookalike_id", "key"),
    *_ACT,
    Column("customer_id", "key"),
    Column("rank", "number"),
    Column("similarity_score", "number"),
    Column("auc", "number"),
    Column("member_count", "number"),
    Column("non_member_count", "number"),
    Column("updated_at", "time", source="chosen_at", default="{loaded_at}"),
)

SEGMENT_LOOKALIKES = Feed(
    name="segment_lookalikes",
    columns=_LOOKALIKE_COLUMNS,
    required=("user_id", "lookalike_id", "segment_key", "customer_id"),
    key=("user_id", "lookalike_id", "customer_id"),
    rules=(
        *map(_missing, ("user_id", "lookalike_id", "segment_key", "customer_id")),
        _NO_DATE,
        *_unreadables(c for c in _LOOKALIKE_COLUMNS if c.kind != "date"),
    ),
    is_audit=True,
)
FEEDS = {
    feed.name: feed
    for feed in (
        EVENTS,
        CUSTOMERS,
        ORGANIZATIONS,
        SEGMENT_ASSIGNMENTS,
        CHURN_SCORES,
        LTV_PREDICTIONS,
        SEGMENT_EXPORTS,
        SEGMENT_LOOKALIKES,
    )
}
"""Every feed by name, in the order in which they are loaded."""
