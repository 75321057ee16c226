"""What the generator writes of a tenant's world, and which days one set of files holds."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestration.sample_data.tenants import Tenant

PRIOR_DAYS = 365  # customers who had joined before the history begins
LATE_DAYS = 3  # a late visit's events land this many days after they happened
LOOK_BACK_DAYS = 13 + LATE_DAYS + 1  # the longest "@…d" of the scripts, late, past midnight
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Delivery:
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
        return day_number_of(self.until)

    def spans(self) -> Iterator[Span]:
        """One span per calendar month of the history, or the one day."""
        if self.only_day is not None:
            day = day_number_of(self.only_day)
            yield Span(self.only_day.isoformat(), day, day)
            return
        numbers = range(self.first_day, self.last_day + 1)
        for label, month in itertools.groupby(numbers, lambda day: f"{date_of(day):%Y-%m}"):
            month_days = list(month)
            yield Span(label, month_days[0], month_days[-1])


class Span(NamedTuple):
    """Days of landing that one set of files holds (days since 1970-01-01, both included)."""

    label: str
    first_day: int
    last_day: int


def day_number_of(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - _EPOCH).days


def date_of(day_number: int) -> date:
    """Return the date that is so many days after 1970-01-01."""
    return _EPOCH + timedelta(days=day_number)
