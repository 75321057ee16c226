"""Membership of segments computed a second time, in plain Python over raw rows: from the definitions, not the SQL.

Nothing here is clever or fast: every rule is judged anew for every customer and every date, from all rows by that date.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from small_warehouse import Row

TIERS = [("bronze", 0), ("silver", 500), ("gold", 1500), ("platinum", 4000)]
LINE_MATCHES = ("", "category", "product", "brand")
REFUNDS = ("refund", "return")
DAY = timedelta(days=1)

Member = tuple[str, str, date]
"""Tenant, customer and date."""


@dataclass(frozen=True)
class Rule:
    """A rule as seed segment_rules has it."""

    field: str
    operator: str
    value: str = ""
    subject: str = ""
    match_key: str = ""
    match_value: str = ""
    sum_property: str = ""
    first_day: int | None = None
    last_day: int | None = None


@dataclass(frozen=True)
class Version:
    """A version of a segment; rules of a group are all met, and of groups any."""

    segment_key: str
    groups: tuple[tuple[Rule, ...], ...]
    since: date = date(2000, 1, 1)
    tenant: str = "*"
    is_active: bool = True


@dataclass(frozen=True)
class Event:
    """An event, or a line of a purchase, with its local time."""

    at: datetime
    kind: str
    order: str
    value: Decimal
    category: str | None
    product: tuple[str | None, str | None]
    brand: str | None
    discount: Decimal
    properties: dict[str, Any]
    event: str

    @property
    def day(self) -> date:
        """Return the local date."""
        return self.at.date()


class Tenant:
    """A tenant's raw rows, by customer and in local time."""

    def __init__(self, user_id: str, timezone: str, events: Iterable[Row], profiles: Iterable[Row]) -> None:
        """Take the tenant's own rows out of all."""
        self.user_id = user_id
        self.zone = ZoneInfo(timezone)
        self.events: dict[str, list[Event]] = defaultdict(list)
        self.lines: dict[str, list[Event]] = defaultdict(list)
        self.profiles: dict[str, list[Row]] = defaultdict(list)
        for row in events:
            if row["user_id"] == user_id:
                self._add(row)
        for row in profiles:
            if row["user_id"] == user_id:
                self.profiles[row["customer_id"]].append(row)
        for versions in self.profiles.values():
            versions.sort(key=lambda row: row["updated_at"])
        self._buyers: dict[tuple[date, str], list[float]] = {}
        self._attributes: dict[tuple[str, date], dict[str, Any] | None] = {}

    def local(self, text: str) -> datetime:
        """Return a UTC time as the tenant's."""
        moment = datetime.fromisoformat(text + ("" if len(text) > len("2024-01-01") else " 00:00:00"))
        return moment.replace(tzinfo=ZoneInfo("UTC")).astimezone(self.zone)

    def _add(self, row: Row) -> None:
        properties = json.loads(row.get("event_properties") or "{}")
        key = str(row["event_id"])
        event = Event(
            at=self.local(row["created_at"]),
            kind=row["event_type"],
            order=properties.get("order_id", key),
            value=Decimal(str(row.get("event_value") or 0)),
            category=row.get("product_category"),
            product=(row.get("product_id"), row.get("product_name")),
            brand=properties.get("brand"),
            discount=Decimal(str(properties.get("discount", 0))),
            properties=properties,
            event=key,
        )
        self.events[row["customer_id"]].append(event)
        if event.kind != "purchase":
            return
        lines = [
            Event(
                at=event.at,
                kind=event.kind,
                order=event.order,
                value=Decimal(str(line["value"])),
                category=line.get("product_category"),
                product=(line.get("product_id"), line.get("product_name")),
                brand=line.get("brand"),
                discount=Decimal(str(line.get("discount", 0))),
                properties={},
                event=key,
            )
            for line in properties.get("lines", [])
        ]
        self.lines[row["customer_id"]] += lines or [event]

    @cached_property
    def customers(self) -> list[str]:
        """Return all customers with a row."""
        return sorted({*self.events, *self.profiles})

    def first_event_date(self) -> date:
        """Return the date of the first event of all."""
        return min(event.day for events in self.events.values() for event in events)

    def profile(self, customer: str, day: date) -> Row | None:
        """Return the version valid at the end of a date; the first one counts from the start."""
        versions = self.profiles.get(customer, [])
        begun = [row for row in versions[1:] if self.local(row["updated_at"]).date() <= day]
        return (begun or versions[:1] or [None])[-1]

    def attributes(self, customer: str, day: date) -> dict[str, Any] | None:
        """Return what is known of a customer at the end of a date; None of one who is not known yet."""
        if (customer, day) not in self._attributes:
            self._attributes[customer, day] = self._attributes_of(customer, day)
        return self._attributes[customer, day]

    def _attributes_of(self, customer: str, day: date) -> dict[str, Any] | None:
        events = [event for event in self.events[customer] if event.day <= day]
        profile = self.profile(customer, day)
        seen = [event.day for event in events]
        if profile is not None:
            if profile.get("signup_at"):
                seen.append(self.local(profile["signup_at"]).date())
            elif not events:
                seen.append(self.local(self.profiles[customer][0]["updated_at"]).date())
        seen = [date_ for date_ in seen if date_ <= day] and seen
        if not seen:
            return None
        return {
            "tenure_days": (day - min(seen)).days,
            "days_since_last_event": (day - max(event.day for event in events)).days if events else None,
            "active_days_last_30_days": len({event.day for event in events if (day - event.day).days < 30}),
            "product_view_count": sum(event.kind == "product_view" for event in events),
            "product_views_last_90_days": sum(
                event.kind == "product_view" and (day - event.day).days < 90 for event in events
            ),
            **self._of_orders(customer, day),
            **self._of_profile(profile, day),
        }

    def _of_orders(self, customer: str, day: date) -> dict[str, Any]:
        lines = sorted((line for line in self.lines[customer] if line.day <= day), key=lambda line: line.at)
        orders: dict[str, list[Event]] = defaultdict(list)
        for line in lines:
            orders[line.order].append(line)
        count = len(orders)
        dates = sorted(order[0].day for order in orders.values())
        charged = sum((line.value for line in lines), Decimal(0))
        refunds = [event for event in self.events[customer] if event.kind in REFUNDS and event.day <= day]
        categories = Counter(line.category for line in lines if line.category)
        latest = {line.category: line.at for line in lines}
        favourite = min(categories, key=lambda name: (-categories[name], -latest[name].timestamp(), name), default=None)

        def share(orders_of_kind: int) -> float | None:
            return orders_of_kind / count if count else None

        hours = [order[0].at.hour for order in orders.values()]
        return {
            "order_count": count,
            "visit_count": len(set(dates)),
            "visits_last_30_days": len({d for d in dates if (day - d).days < 30}),
            "orders_last_30_days": sum((day - d).days < 30 for d in dates),
            "orders_previous_30_days": sum(30 <= (day - d).days < 60 for d in dates),
            "days_since_last_order": (day - dates[-1]).days if dates else None,
            "days_since_first_order": (day - dates[0]).days if dates else None,
            "purchase_frequency_days": (dates[-1] - dates[0]).days / (count - 1) if count > 1 else None,
            "first_order_date": dates[0] if dates else None,
            "last_order_date": dates[-1] if dates else None,
            "acquisition_cohort": f"{dates[0]:%Y-%m}" if dates else None,
            "gross_spent": float(charged),
            "total_spent": float(charged - sum((refund.value for refund in refunds), Decimal(0))),
            "avg_order_value": float(charged) / count if count else None,
            "discounted_order_share": share(sum(any(line.discount for line in order) for order in orders.values())),
            "lunch_order_share": share(sum(11 <= hour <= 13 for hour in hours)),
            "night_order_share": share(sum(hour < 5 or hour > 20 for hour in hours)),
            "weekend_order_share": share(sum(d.isoweekday() > 5 for d in dates)),
            "favourite_category": favourite,
            "top_category_order_share": (
                share(sum(any(line.category == favourite for line in order) for order in orders.values()))
                if favourite
                else None
            ),
            **self._favourite_brand(orders),
        }

    def _favourite_brand(self, orders: dict[str, list[Event]]) -> dict[str, Any]:
        brands = Counter(brand for order in orders.values() for brand in {line.brand for line in order} if brand)
        latest = {line.brand: line.at for order in orders.values() for line in order}
        for order in orders.values():
            latest |= {line.brand: max(latest[line.brand], line.at) for line in order}
        favourite = min(brands, key=lambda name: (-brands[name], -latest[name].timestamp(), name), default=None)
        return {
            "favourite_brand": favourite,
            "top_brand_order_share": brands[favourite] / len(orders) if favourite else None,
        }

    def _of_profile(self, profile: Row | None, day: date) -> dict[str, Any]:
        row = profile or {}
        born = date.fromisoformat(row["birth_date"]) if row.get("birth_date") else None
        tier, points = row.get("loyalty_tier"), row.get("loyalty_points")
        tier = tier and tier.lower()
        rank = [name for name, _ in TIERS].index(tier) if tier else -1
        next_points = TIERS[rank + 1][1] if rank + 1 < len(TIERS) else None
        return {
            "has_profile": profile is not None,
            "email_opt_in": row.get("email_opt_in"),
            "city": row.get("city"),
            "loyalty_tier": tier,
            "is_loyalty_member": tier is not None,
            "loyalty_points": points,
            "is_tier_upgrade_eligible": points is not None and next_points is not None and points >= next_points,
            "birth_date": born,
            "age": born and day.year - born.year - ((day.month, day.day) < (born.month, born.day)),
            "signup_date": self.local(row["signup_at"]).date() if row.get("signup_at") else None,
            "tags": [tag.lower() for tag in json.loads(row["tags"])] if row.get("tags") else None,
        }

    def buyers(self, field: str, day: date) -> list[float]:
        """Return a field's values of all buyers at a date."""
        if (day, field) not in self._buyers:
            known = [self.attributes(customer, day) for customer in self.customers]
            self._buyers[day, field] = [state[field] for state in known if state and state["order_count"] > 0]
        return self._buyers[day, field]


# ── One rule ──────────────────────────────────────────────────────────────────────────────────


def compare(operator: str, left: Any, right: Any) -> bool:  # noqa: ANN401 - numbers, dates, texts, flags
    """Return what a comparison says."""
    return {
        "=": left == right,
        "!=": left != right,
        "<": operator == "<" and left < right,
        "<=": operator == "<=" and left <= right,
        ">": operator == ">" and left > right,
        ">=": operator == ">=" and left >= right,
    }[operator]


def days_to_anniversary(born: date, day: date) -> int:
    """Return the days to the next anniversary; that of 29 February is the 28th in other years."""
    for year in (day.year, day.year + 1):
        try:
            coming = born.replace(year=year)
        except ValueError:
            coming = date(year, 2, 28)
        if coming >= day:
            return (coming - day).days
    raise AssertionError


def is_met(rule: Rule, tenant: Tenant, customer: str, day: date) -> bool:  # noqa: C901, PLR0911 - a case each
    """Return whether a customer meets a rule at the end of a date."""
    state = tenant.attributes(customer, day)
    if state is None:
        return False
    if rule.field.startswith("event_"):
        return _in_order(rule, figure(rule, tenant, customer, day), float)
    value = state[rule.field]
    if rule.operator == "is_null":
        return value is None
    if value is None:
        return False
    match rule.operator:
        case "is_not_null":
            return True
        case "top_percent" | "bottom_percent":
            if not state["order_count"]:
                return False
            all_values = tenant.buyers(rule.field, day)
            better = sum(v > value if rule.operator == "top_percent" else v < value for v in all_values)
            return Fraction(better, len(all_values)) < Fraction(rule.value) / 100
        case "within_days":
            return 0 <= (day - value).days <= int(rule.value)
        case "anniversary_within_days":
            return days_to_anniversary(value, day) <= int(rule.value)
        case "contains":
            return rule.value.lower() in (value.lower() if isinstance(value, str) else value)
    if isinstance(value, bool):
        return compare(rule.operator, value, rule.value == "true")
    if isinstance(value, str):
        return _in_order(rule, value.lower(), str.lower)
    return _in_order(rule, value, date.fromisoformat if isinstance(value, date) else float)


def _in_order(rule: Rule, value: Any, read: Any) -> bool:  # noqa: ANN401 - a value and how to read another like it
    wanted = [read(part) for part in rule.value.split("|")]
    match rule.operator:
        case "between":
            return wanted[0] <= value <= wanted[1]
        case "in":
            return value in wanted
        case "not_in":
            return value not in wanted
    return compare(rule.operator, value, wanted[0])


def figure(rule: Rule, tenant: Tenant, customer: str, day: date) -> float:
    """Return what an event rule counts or adds up; of nothing, 0."""
    is_of_lines = rule.subject == "purchase" and not rule.sum_property and rule.match_key in LINE_MATCHES
    rows = (tenant.lines if is_of_lines else tenant.events)[customer]
    counted = [
        row
        for row in rows
        if row.kind == rule.subject
        and (day - row.day).days >= (rule.first_day or 0)
        and (rule.last_day is None or (day - row.day).days <= rule.last_day)
        and _matches(rule, row)
    ]
    match rule.field:
        case "event_count":
            return len({row.event for row in counted})
        case "event_days":
            return len({row.day for row in counted})
    if rule.sum_property:
        return float(sum(Decimal(str(row.properties.get(rule.sum_property, 0))) for row in counted))
    return float(sum(row.value for row in counted))


def _matches(rule: Rule, row: Event) -> bool:
    found: Sequence[Any]
    match rule.match_key:
        case "":
            return True
        case "category":
            found = [row.category]
        case "product":
            found = row.product
        case "brand":
            found = [row.brand]
        case key:
            found = [row.properties.get(key)]
    return rule.match_value.lower() in [str(value).lower() for value in found if value is not None]


# ── All segments ──────────────────────────────────────────────────────────────────────────────


def members(
    tenants: Sequence[Tenant], versions: Sequence[Version], history_from: date, as_of: date
) -> dict[str, set[Member]]:
    """Return who is in which segment on which date."""
    by_key: dict[str, list[Version]] = defaultdict(list)
    for version in sorted(versions, key=lambda version: version.since):
        by_key[version.segment_key].append(version)
    plain = {key for key, (first, *_) in by_key.items() if not joined_rule(first)}
    found: dict[str, set[Member]] = {}
    # Derived segments last: they ask when their subject was joined.
    for key in sorted(by_key, key=lambda key: key not in plain):
        found[key] = {
            (tenant.user_id, customer, day)
            for tenant in tenants
            for customer in tenant.customers
            for day in (history_from + DAY * n for n in range((as_of - history_from).days + 1))
            if (version := in_force(by_key[key], tenant.user_id, day))
            and (
                any(all(is_met(rule, tenant, customer, day) for rule in group) for group in version.groups)
                if key in plain
                else has_joined(joined_rule(version), found, (tenant.user_id, customer, day), history_from)
            )
        }
    return found


def in_force(versions: Sequence[Version], user_id: str, day: date) -> Version | None:
    """Return the version that holds, if it is of the tenant and active."""
    begun = [version for version in versions if version.since <= day and version.tenant in ("*", user_id)]
    return begun[-1] if begun and begun[-1].is_active else None


def joined_rule(version: Version) -> Rule | None:
    """Return the rule of a segment that derives from another one."""
    return next((rule for group in version.groups for rule in group if rule.field == "joined_segment"), None)


def has_joined(rule: Rule | None, found: dict[str, set[Member]], member: Member, history_from: date) -> bool:
    """Return whether a customer joined another segment within the last days, on a known date, and still is in it."""
    assert rule is not None
    user_id, customer, day = member
    if member not in found[rule.subject]:
        return False
    joined = day
    while (user_id, customer, joined - DAY) in found[rule.subject]:
        joined -= DAY
    return joined > history_from and (day - joined).days < int(rule.value)
