"""Figures of segments computed a second time, member by member and day by day, from the definitions and not the SQL.

What a customer is on a date is written down once for each of them (`states`); a segment's row is a sum over those who
are its members on the date. Slow, and without intervals, running sums or anything else that makes the marts fast.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

DAY = timedelta(days=1)
WINDOW, AT_RISK, CHURNED = 30, 60, 180
"""Days: of what is active or counted in a window, since the last order of who is at risk, and of who has churned."""
WEIGHTS = {"recency": 0.4, "sessions": 0.3, "opens": 0.2, "clicks": 0.1}

Figures = dict[str, float | None]


@dataclass(frozen=True)
class Spell:
    """A membership: on the dates from `joined`, before `left`."""

    segment: str
    customer: str
    is_manual: bool
    joined: date
    left: date | None

    def holds(self, day: date) -> bool:
        """Say whether the customer is a member on a date."""
        return self.joined <= day and (self.left is None or day < self.left)


@dataclass
class Customer:
    """What a customer did, by local date."""

    seen: date
    profiles: set[date] = field(default_factory=set)
    days: dict[date, dict[str, float]] = field(default_factory=dict)
    """Counts of the customer's events by name, on dates with any."""
    orders: list[tuple[date, float]] = field(default_factory=list)
    sessions: list[tuple[date, bool, float]] = field(default_factory=list)
    """Date, whether engaged, seconds."""

    def last_order(self, day: date) -> date | None:
        """Return the date of the last order by a date."""
        return max((ordered for ordered, _ in self.orders if ordered <= day), default=None)

    def is_silent_for(self, day: date, least: int, most: int = 10**6) -> bool:
        """Say whether the last order by a date is as many days ago."""
        last = self.last_order(day)
        return last is not None and least <= (day - last).days <= most

    def has_churned(self, day: date) -> bool:
        """Say whether a buyer has churned by a date."""
        return self.is_silent_for(day, CHURNED)

    def window(self, day: date, *names: str) -> float:
        """Sum counts over the days that end with a date."""
        return sum(
            counts[name] for other, counts in self.days.items() if in_window(other, day) for name in names
        )  # fmt: skip

    def net(self, is_counted: Callable[[date], bool]) -> float:
        """Return orders minus refunds of the dates that count."""
        charged = sum(gross for day, gross in self.orders if is_counted(day))
        return charged - sum(counts["refund_amount"] for day, counts in self.days.items() if is_counted(day))


def in_window(day: date, last: date) -> bool:
    """Say whether a date is one of the 30 that end with another."""
    return last - WINDOW * DAY < day <= last


@dataclass
class Tenant:
    """A tenant's customers, memberships and definitions on the dates of its history."""

    first: date
    last: date
    customers: dict[str, Customer]
    spells: list[Spell]
    versions: dict[str, list[tuple[date, bool]]]
    """Since and is_active of each segment's versions, in order."""

    def dates(self) -> Iterator[date]:
        """Return the dates of the history."""
        return (self.first + number * DAY for number in range((self.last - self.first).days + 1))

    def is_active(self, segment: str, day: date) -> bool:
        """Say whether the version of a segment that holds on a date has members."""
        return ([False] + [active for since, active in self.versions[segment] if since <= day])[-1]

    def members(self, day: date) -> dict[str, set[str]]:
        """Return the members of each segment on a date."""
        found = {segment: set() for segment in self.versions}
        for spell in self.spells:
            if spell.holds(day):
                found[spell.segment].add(spell.customer)
        return found

    def states(self, day: date) -> dict[str, Figures]:
        """Return what counts of each customer on a date."""
        scores = self.engagement(day)
        return {key: self._state(one, day) | {"engagement": scores.get(key, 0)} for key, one in self.customers.items()}

    def _state(self, one: Customer, day: date) -> Figures:
        today = one.days.get(day, {})
        charged = [gross for ordered, gross in one.orders if ordered == day]
        sessions = [(engaged, seconds) for session_day, engaged, seconds in one.sessions if session_day == day]
        return {
            "member_count": 1,
            "active_members": any(in_window(other, day) for other in one.days),
            "at_risk_customers": one.is_silent_for(day, AT_RISK, CHURNED - 1),
            "churned_customers": one.has_churned(day),
            "newly_churned_customers": one.has_churned(day) and not one.has_churned(day - DAY),
            "new_customers": min(one.days, default=None) == day,
            "customers_without_event": not any(other <= day for other in one.days),
            "buyers_to_date": one.last_order(day) is not None,
            "repeat_buyers_to_date": sum(ordered <= day for ordered, _ in one.orders) > 1,
            "members_with_event": bool(today),
            "total_events": today.get("event_count", 0),
            "total_page_views": today.get("page_view_count", 0),
            "order_count": len(charged),
            "buyers_that_day": bool(charged),
            "gross_amount": sum(charged),
            "refund_amount": today.get("refund_amount", 0),
            "session_count": len(sessions),
            "engaged_session_count": sum(engaged for engaged, _ in sessions),
            "session_seconds": sum(seconds for _, seconds in sessions),
            "orders_last_30_days": sum(in_window(ordered, day) for ordered, _ in one.orders),
            "revenue_last_30_days": one.net(lambda other: in_window(other, day)),
            "net_to_date": one.net(lambda other: other <= day),
            **{
                f"{name}_last_30_days": one.window(day, f"{name}_count")
                for name in ("email_sent", "email_open", "email_click", "sms_sent", "sms_open")
            },
        }

    def engagement(self, day: date) -> dict[str, float]:
        """Return the score of each customer known by a date: shares of customers who are strictly worse, weighted."""
        known = {key: one for key, one in self.customers.items() if one.seen <= day}
        values = {
            "recency": {
                key: max((other.toordinal() for other in one.days if other <= day), default=0)
                for key, one in known.items()
            },
            "sessions": {key: sum(in_window(other, day) for other, _, _ in one.sessions) for key, one in known.items()},
            "opens": {
                key: one.window(day, "email_open_count", "sms_open_count", "push_open_count")
                for key, one in known.items()
            },
            "clicks": {key: one.window(day, "email_click_count", "sms_click_count") for key, one in known.items()},
        }
        parts = {part: of_part for part, of_part in values.items() if any(of_part.values())}
        weight = sum(WEIGHTS[part] for part in parts)
        return {
            key: 100 / weight * sum(
                WEIGHTS[part] * sum(other < of_part[key] for other in of_part.values()) / (len(known) - 1)
                for part, of_part in parts.items()
                if of_part[key]
            )
            for key in (known if parts and len(known) > 1 else ())
        }  # fmt: skip

    def rows(self) -> Iterator[tuple[str, date, Figures]]:
        """Return the figures of each active segment and date."""
        sms_opens = [day for one in self.customers.values() for day, of in one.days.items() if of["sms_open_count"]]
        members_of: dict[date, dict[str, set[str]]] = {}
        for day in self.dates():
            members_of[day], states = self.members(day), self.states(day)
            everybody = _sums(states.values())
            nobody = dict.fromkeys(everybody, 0.0)
            former = members_of.get(day - WINDOW * DAY, {})
            for segment, members in members_of[day].items():
                if not self.is_active(segment, day):
                    continue
                figures = nobody | _sums(states[key] for key in members)
                if former and self.is_active(segment, day - WINDOW * DAY):
                    stayed = [
                        self.customers[key]
                        for key in former[segment]
                        if not self.customers[key].has_churned(day - WINDOW * DAY)
                    ]
                    figures |= {"retainable_members": len(stayed)}
                    figures |= {"churned_members": sum(one.has_churned(day) for one in stayed)}
                yield (
                    segment,
                    day,
                    figures | self._rates(figures, everybody, has_sms=min(sms_opens, default=date.max) <= day),
                )

    @staticmethod
    def _rates(sums: Figures, everybody: Figures, *, has_sms: bool) -> Figures:
        churn_rate = _share(sums.get("churned_members"), sums.get("retainable_members"))
        sent, texted = sums["email_sent_last_30_days"], sums["sms_sent_last_30_days"] if has_sms else 0
        revenue, of_all = sums["gross_amount"] - sums["refund_amount"], everybody["revenue_last_30_days"]
        of_all_today = everybody["gross_amount"] - everybody["refund_amount"]
        return {
            "churn_rate": churn_rate,
            "retention_rate": None if churn_rate is None else 1 - churn_rate,
            "lifetime_value": _share(sums["net_to_date"], sums["member_count"]),
            "avg_order_value": _share(sums["gross_amount"], sums["order_count"]),
            "purchase_frequency": _share(sums["orders_last_30_days"], sums["member_count"]),
            "conversion_rate": _share(sums["buyers_that_day"], sums["members_with_event"]),
            "email_open_rate": _share(min(sums["email_open_last_30_days"], sent), sent),
            "email_click_rate": _share(min(sums["email_click_last_30_days"], sent), sent),
            "sms_open_rate": _share(min(sums["sms_open_last_30_days"], texted), texted),
            "engagement_score": _share(sums["engagement"], sums["member_count"]),
            "revenue_generated": revenue,
            "revenue_share": _share(sums["revenue_last_30_days"], max(of_all, 0)),
            "revenue_share_of_the_day": _share(revenue, max(of_all_today, 0)),
            "bounce_rate": _share(sums["session_count"] - sums["engaged_session_count"], sums["session_count"]),
            "avg_session_duration_minutes": _share(sums["session_seconds"] / 60, sums["session_count"]),
            "repeat_purchase_rate": _share(sums["repeat_buyers_to_date"], sums["buyers_to_date"]),
        }

    def sizes(self) -> Iterator[tuple[str, date, Figures]]:
        """Return how many customers joined and left each segment on each date, and why."""
        before = self.members(self.first - DAY)
        for day in self.dates():
            now = self.members(day)
            for segment, members in now.items():
                figures: Figures = defaultdict(int, member_count=len(members))
                changes = (("joined", members - before[segment]), ("left", before[segment] - members))
                for direction, customers in changes if day > self.first else ():
                    for key in customers:
                        figures[f"{direction}_count"] += 1
                        figures[f"{direction}_by_{self._cause(segment, key, day)}"] += 1
                if self.is_active(segment, day) or self.is_active(segment, day - DAY):
                    yield segment, day, figures
            before = now

    def _cause(self, segment: str, key: str, day: date) -> str:
        if any(since == day for since, _ in self.versions[segment]):
            return "definition"
        if any(spell.is_manual and spell.segment == segment for spell in self.spells):
            return "assignment"
        return "data" if self.customers[key].seen == day or day in self.customers[key].profiles else "behavior"

    def transitions(self, family: Iterable[str]) -> dict[tuple[date, Any, Any], int]:
        """Return how many customers went from one segment of an exclusive family to another, on each date."""
        found: dict[tuple[date, Any, Any], int] = defaultdict(int)
        for day in self.dates():
            before, now = self.members(day - DAY), self.members(day)
            for key in self.customers if day > self.first else ():
                [left] = [segment for segment in family if key in before[segment]] or [None]
                [joined] = [segment for segment in family if key in now[segment]] or [None]
                if left != joined:
                    found[day, left, joined] += 1
        return dict(found)

    def overlap(self) -> dict[tuple[str, str], Figures]:
        """Return what two segments have in common on the last date."""
        members, total = self.members(self.last), len(self.customers)
        found = {}
        for a in members:
            for b in members:
                if a < b and self.is_active(a, self.last) and self.is_active(b, self.last):
                    both, either = len(members[a] & members[b]), len(members[a] | members[b])
                    smaller, product = min(len(members[a]), len(members[b])), len(members[a]) * len(members[b])
                    found[a, b] = {
                        "both_count": both,
                        "either_count": either,
                        "jaccard": _share(both, either),
                        "overlap_coefficient": _share(both, smaller),
                        "lift": _share(both * total, product),
                    }
        return found


def _sums(states: Iterable[Figures]) -> Figures:
    sums: Figures = defaultdict(float)
    for state in states:
        for name, value in state.items():
            sums[name] += value
    return sums


def _share(part: float | None, whole: float | None) -> float | None:
    return part / whole if whole else None
