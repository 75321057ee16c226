"""What rules may look at: the fields, their operators, and the events that can be counted, as the seeds have them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

COMPARISONS = ("=", "!=", "<", "<=", ">", ">=")
NULL_TESTS = ("is_null", "is_not_null")
RANKS = ("top_percent", "bottom_percent")

OPERATORS: Mapping[str, tuple[str, ...]] = {
    "number": (*COMPARISONS, "between", "in", "not_in", *NULL_TESTS, *RANKS),
    "flag": ("=", "!=", *NULL_TESTS),
    "text": ("=", "!=", "in", "not_in", "contains", *NULL_TESTS),
    "list": ("contains", *NULL_TESTS),
    "date": (*COMPARISONS, "between", "within_days", "anniversary_within_days", *NULL_TESTS),
    "event": (*COMPARISONS, "between"),
    "segment": ("within_days",),
}
"""Operators by the type of a field's value; of numbers, only rankable ones know top_percent and bottom_percent."""

EVENT_COLUMNS = ("category", "product", "brand")
"""What any event can be matched by, besides the properties that its type declares."""


class SegmentError(RuntimeError):
    """A definition cannot be made, or the segments cannot be read; the message says what to do."""


@dataclass(frozen=True)
class Alias:
    """A key of the documents' JSON: it means a field and an operator; with a value, its JSON value is true."""

    key: str
    field: str
    operator: str
    value: str | None


@dataclass(frozen=True)
class Field:
    """A field that rules may look at."""

    name: str
    value_type: str
    is_rankable: bool
    is_restricted: bool

    @property
    def operators(self) -> tuple[str, ...]:
        """Return the operators that fit."""
        operators = OPERATORS[self.value_type]
        return operators if self.is_rankable else tuple(o for o in operators if o not in RANKS)


@dataclass(frozen=True)
class Catalogue:
    """All that a rule can name."""

    fields: Mapping[str, Field]
    aliases: Mapping[str, Alias]
    event_types: Mapping[str, str]
    """The canonical event type of each type and alias."""
    properties: Mapping[str, Mapping[str, str]]
    """The JSON type of each declared property, by canonical event type."""

    def match_keys(self, event_type: str) -> tuple[str, ...]:
        """Return what events of a type can be matched by."""
        declared = self.properties.get(event_type, {})
        return (*EVENT_COLUMNS, *sorted(name for name, kind in declared.items() if kind != "array"))

    def sum_properties(self, event_type: str) -> tuple[str, ...]:
        """Return the properties of an event type that can be added up."""
        declared = self.properties.get(event_type, {})
        return tuple(sorted(name for name, kind in declared.items() if kind == "number"))


def read_catalogue(seeds: Path) -> Catalogue:
    """Read the catalogue from a folder of seeds."""
    rows = read_seed(seeds / "segments" / "criteria_fields.csv")
    fields = {
        row["field"]: Field(
            row["field"], row["value_type"], row["is_rankable"] == "true", row["is_restricted"] == "true"
        )
        for row in rows
    }
    aliases = {}
    for row in rows:
        for text in filter(None, row["aliases"].split("|")):
            key, operator, value = [*text.split(":"), None][:3]
            aliases[str(key)] = Alias(str(key), row["field"], str(operator), value)
    event_types, properties = {}, {}
    for row in read_seed(seeds / "events" / "event_types.csv"):
        names = [row["event_type"], *row["aliases"].split("|")]
        event_types |= {name: row["event_type"] for name in names if name}
        properties[row["event_type"]] = {}
    for row in read_seed(seeds / "events" / "event_properties.csv"):
        for event_type in row["event_types"].split("|"):
            properties.setdefault(event_type, {})[row["property"]] = row["value_type"]
    return Catalogue(fields, aliases, event_types, properties)


def read_seed(path: Path, header: Collection[str] | None = None) -> list[dict[str, str]]:
    """Read a seed's rows; with a header, one that has other columns or ragged rows is refused."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        message = f"{path} cannot be read: {error}"
        raise SegmentError(message) from error
    if header is not None and list(reader.fieldnames or ()) != list(header):
        message = f"{path} has other columns than {', '.join(header)}"
        raise SegmentError(message)
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            message = f"{path} has more or fewer values than columns in its row {number}"
            raise SegmentError(message)
    return rows


def choices(names: Collection[str]) -> str:
    """Return names for a message that offers them."""
    return ", ".join(names) or "none"
