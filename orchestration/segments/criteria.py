"""Criteria in JSON, as the documents write them and in the canonical form, to rule rows and back.

Canonical: `{"all": [rule, …]}` for one group, `{"any": [{"all": [rule, …]}, …]}` for several, `{}` for none. A rule is
`{"field", "operator", "value"}`, of events and segments with "subject" and what else is set. The documents' form is an
object of their keys (`{"minOrders": 5}`), whose rules must all be met.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from orchestration.segments.catalogue import NULL_TESTS, RANKS, SegmentError, choices

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from orchestration.segments.catalogue import Catalogue, Field

Json = object
"""What json.loads returns, numbers as Decimal."""

LONGEST_CRITERIA = 100_000
"""Characters of JSON."""
LONGEST_VALUE = 200
"""Characters of one text in a rule."""
MOST_RULES = 200
MOST_RULES_OF_GROUP = 20
"""Of which int_segment_clauses takes for granted that they fit a word of bits."""
MOST_ELEMENTS = 200
"""Elements of one list."""
MOST_DIGITS = 15
"""Significant digits that a DOUBLE keeps."""
GREATEST_NUMBER = Decimal(10) ** 12
LEAST_NUMBER = Decimal("1e-9")
LONGEST_WINDOW = 36_600
"""Days."""
LONGEST_JOINED = 3_660
"""Days that a rule about joining another segment looks back."""

RULE_KEYS = (
    "field",
    "operator",
    "value",
    "subject",
    "match_key",
    "match_value",
    "sum_property",
    "first_day",
    "last_day",
)
EVENT_KEYS = ("subject", "match_key", "match_value", "sum_property", "first_day", "last_day")
NO_TEXT = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode categories that no text may hold: control characters, lone surrogates, separators of lines."""
ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
PLAIN_NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?", re.ASCII)


class CriteriaError(SegmentError):
    """Criteria that cannot be rules; the message names the choices."""


@dataclass(frozen=True)
class Rule:
    """A row of seed segment_rules without its segment: texts as they stand there, "" where nothing does."""

    group_number: int
    rule_number: int
    field: str
    operator: str
    value: str = ""
    subject: str = ""
    match_key: str = ""
    match_value: str = ""
    sum_property: str = ""
    first_day: int | None = None
    last_day: int | None = None

    @property
    def values(self) -> list[str]:
        """Return the parts of the value."""
        return self.value.split("|")


# ── JSON → rules ──────────────────────────────────────────────────────────────────────────────


def parse_criteria(text: str, catalogue: Catalogue) -> tuple[Rule, ...]:
    """Turn criteria in JSON into rules; `{}` into none. Whatever cannot be is a CriteriaError."""
    criteria = _load(text)
    if not isinstance(criteria, dict):
        message = 'criteria are a JSON object, as {"minOrders": 5}, not a list or a single value'
        raise CriteriaError(message)
    if "any" in criteria or "all" in criteria:
        rules = _canonical(criteria, catalogue)
    else:
        rules = [_aliased(key, value, number, catalogue) for number, (key, value) in enumerate(criteria.items(), 1)]
    if len(rules) > MOST_RULES:
        message = f"{len(rules)} rules are too many: {MOST_RULES} at most"
        raise CriteriaError(message)
    largest = max(Counter(rule.group_number for rule in rules).values(), default=0)
    if largest > MOST_RULES_OF_GROUP:
        message = f"{largest} rules in one group are too many: {MOST_RULES_OF_GROUP} at most"
        raise CriteriaError(message)
    return tuple(rules)


def _load(text: str) -> Json:
    if len(text) > LONGEST_CRITERIA:
        message = f"criteria of {len(text)} characters are too long: {LONGEST_CRITERIA} at most"
        raise CriteriaError(message)

    def without_duplicates(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        keys = [key for key, _ in pairs]
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            message = f"the JSON has a key twice: {_quoted(twice[0])}"
            raise CriteriaError(message)
        return dict(pairs)

    def number(digits: str) -> Decimal:
        try:
            return Decimal(digits)
        except InvalidOperation as error:
            raise CriteriaError(_no_number(digits)) from error

    def no_number(word: str) -> Json:
        raise CriteriaError(_no_number(word))

    try:
        return json.loads(
            text,
            object_pairs_hook=without_duplicates,
            parse_int=number,
            parse_float=number,
            parse_constant=no_number,
        )
    except json.JSONDecodeError as error:
        message = f"the criteria are no valid JSON: {error.msg} at character {error.pos + 1}"
        raise CriteriaError(message) from error
    except RecursionError as error:
        message = 'the criteria are nested too deeply: groups in "any", rules in "all", no deeper'
        raise CriteriaError(message) from error


def _canonical(criteria: Mapping[str, Json], catalogue: Catalogue) -> list[Rule]:
    if len(criteria) > 1:
        others = [key for key in criteria if key not in {"any", "all"}] or ["all"]
        message = f'"any" or "all" stands alone, not beside {_quoted(others[0])}'
        raise CriteriaError(message)
    groups = _listed(criteria["any"], "any") if "any" in criteria else [criteria]
    rules = []
    for group_number, group in enumerate(groups, start=1):
        if not isinstance(group, dict) or list(group) != ["all"]:
            message = 'every element of "any" is a group: {"all": [rule, …]}'
            raise CriteriaError(message)
        for rule_number, rule in enumerate(_listed(group["all"], "all"), start=1):
            rules.append(_rule(rule, group_number, rule_number, catalogue))
    return rules


def _listed(value: Json, key: str) -> list[Json]:
    if not isinstance(value, list) or not value:
        message = f'"{key}" is a list with at least one element'
        raise CriteriaError(message)
    return value


def _aliased(key: str, value: Json, number: int, catalogue: Catalogue) -> Rule:
    alias = catalogue.aliases.get(key)
    if alias is None:
        message = (
            f"unknown criterion {_quoted(key)}; known are {choices(catalogue.aliases)}; any other field goes into"
            ' {"all": [{"field": …, "operator": …, "value": …}]}'
        )
        raise CriteriaError(message)
    if alias.value is None:
        given: Json = value
    elif value is True:
        given = Decimal(alias.value)
    else:
        message = f"{key} is a switch: its value is true"
        raise CriteriaError(message)
    rule: dict[str, Json] = {"field": alias.field, "operator": alias.operator, "value": given}
    try:
        return _rule(rule, 1, number, catalogue)
    except CriteriaError as error:
        message = f"{key}: {error}"
        raise CriteriaError(message) from error


def _rule(rule: Json, group_number: int, rule_number: int, catalogue: Catalogue) -> Rule:
    where = f"rule {rule_number} of group {group_number}"
    if not isinstance(rule, dict):
        message = f'{where} is a JSON object: {{"field": …, "operator": …, "value": …}}'
        raise CriteriaError(message)
    if unknown := [key for key in rule if key not in RULE_KEYS]:
        message = f"{where} has an unknown key {_quoted(unknown[0])}; known are {choices(RULE_KEYS)}"
        raise CriteriaError(message)
    given = {key: value for key, value in rule.items() if value is not None}
    field = _field(given.get("field"), where, catalogue)
    if given.get("operator") not in field.operators:
        message = f"{field.name} has no operator {_quoted(given.get('operator'))}; it has {choices(field.operators)}"
        raise CriteriaError(message)
    operator = str(given["operator"])
    made = Rule(group_number, rule_number, field.name, operator, value=_value(given.get("value"), field, operator))
    if field.value_type == "event":
        made = _with_events(made, given, catalogue)
    elif field.value_type == "segment":
        made = replace(made, subject=plain_text(given.get("subject"), f"subject of {field.name}"))
        _nothing_else(given, field, allowed=("subject",))
    else:
        _nothing_else(given, field)
    return made


def _field(name: Json, where: str, catalogue: Catalogue) -> Field:
    if not isinstance(name, str) or name not in catalogue.fields:
        message = f"{where}: unknown field {_quoted(name)}; known are {choices(catalogue.fields)}"
        raise CriteriaError(message)
    return catalogue.fields[name]


def _nothing_else(given: Mapping[str, Json], field: Field, allowed: Iterable[str] = ()) -> None:
    if others := [key for key in EVENT_KEYS if key in given and key not in allowed]:
        message = f"{field.name} takes no {others[0]}: that belongs to event_count, event_days and event_sum"
        raise CriteriaError(message)


def _with_events(rule: Rule, given: Mapping[str, Json], catalogue: Catalogue) -> Rule:
    asked = given.get("subject")
    subject = catalogue.event_types.get(asked.strip().lower()) if isinstance(asked, str) else None
    if subject is None:
        types = dict.fromkeys(catalogue.event_types.values())
        message = f"{rule.field}: unknown event type (subject) {_quoted(asked)}; known are {choices(types)}"
        raise CriteriaError(message)
    match_key, match_value = given.get("match_key"), given.get("match_value")
    if (match_key is None) != (match_value is None):
        message = f"{rule.field}: match_key and match_value go together"
        raise CriteriaError(message)
    if match_key is not None and match_key not in (keys := catalogue.match_keys(subject)):
        message = f"{subject} has no match_key {_quoted(match_key)}; it has {choices(keys)}"
        raise CriteriaError(message)
    sum_property = given.get("sum_property")
    if sum_property is not None and rule.field != "event_sum":
        message = f"{rule.field} adds nothing up: sum_property belongs to event_sum"
        raise CriteriaError(message)
    if sum_property is not None and sum_property not in (keys := catalogue.sum_properties(subject)):
        message = f"{subject} has no sum_property {_quoted(sum_property)}; it has {choices(keys)}"
        raise CriteriaError(message)
    first_day = _days(given.get("first_day", Decimal(0)), "first_day", 0, LONGEST_WINDOW)
    last_day = None
    if "last_day" in given:
        last_day = _days(given["last_day"], "last_day", first_day, LONGEST_WINDOW)
    return replace(
        rule,
        subject=subject,
        match_key=str(match_key or ""),
        match_value="" if match_value is None else _match_text(match_value),
        sum_property=str(sum_property or ""),
        first_day=first_day,
        last_day=last_day,
    )


def _match_text(value: Json) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return _number(value, "match_value") if isinstance(value, Decimal) else plain_text(value, "match_value").lower()


# ── One value ─────────────────────────────────────────────────────────────────────────────────


def _value(value: Json, field: Field, operator: str) -> str:
    """Return a rule's value as the seed writes it."""
    what = f"value of {field.name} {operator}"
    if operator in NULL_TESTS:
        if value is not None:
            message = f"{field.name} {operator} takes no value"
            raise CriteriaError(message)
        return ""
    if value is None:
        message = f"the {what} is missing"
        raise CriteriaError(message)
    if operator == "between":
        return _between(value, field, what)
    if operator in {"in", "not_in"}:
        return _list(value, field, what)
    if operator in {"within_days", "anniversary_within_days"}:
        is_segment = field.value_type == "segment"
        return str(_days(value, what, int(is_segment), LONGEST_JOINED if is_segment else LONGEST_WINDOW))
    text = _single(value, field, what)
    if operator in RANKS and not 0 < Decimal(text) <= 100:  # noqa: PLR2004 - per cent
        message = f"the {what} is a percentage above 0, at most 100"
        raise CriteriaError(message)
    return text


def _between(value: Json, field: Field, what: str) -> str:
    if not isinstance(value, list) or len(value) != 2:  # noqa: PLR2004 - two ends
        message = f"the {what} is a list of two ends, both included: [from, to]"
        raise CriteriaError(message)
    low, high = (_single(end, field, what) for end in value)
    if (low > high) if field.value_type == "date" else (Decimal(low) > Decimal(high)):
        message = f"the {what} begins with its greater end: {low} lies above {high}"
        raise CriteriaError(message)
    return f"{low}|{high}"


def _list(value: Json, field: Field, what: str) -> str:
    if not isinstance(value, list) or not 0 < len(value) <= MOST_ELEMENTS:
        message = f"the {what} is a list of 1 to {MOST_ELEMENTS} elements"
        raise CriteriaError(message)
    elements = [_single(element, field, what) for element in value]
    # Texts are compared without regard to case: of the same one in two spellings the first is kept.
    first_spellings = {element.casefold(): element for element in reversed(elements)}
    return "|".join(first_spellings[folded] for folded in dict.fromkeys(element.casefold() for element in elements))


def _single(value: Json, field: Field, what: str) -> str:
    match field.value_type:
        case "number" | "event":
            return _number(value, what)
        case "flag":
            if not isinstance(value, bool):
                message = f"the {what} is true or false, not {_quoted(value)}"
                raise CriteriaError(message)
            return str(value).lower()
        case "date":
            return _date(value, what)
        case _:
            return plain_text(value, what)


def _number(value: Json, what: str) -> str:
    if not isinstance(value, Decimal):
        message = f"the {what} is a number, not {_quoted(value)}"
        raise CriteriaError(message)
    # Compared before it is written out: 1e999999999 has as many digits.
    if not value.is_finite() or value.copy_abs() > GREATEST_NUMBER or (value and value.copy_abs() < LEAST_NUMBER):
        message = f"the {what} is a number from 0.000000001 to {GREATEST_NUMBER:f} in size, or 0"
        raise CriteriaError(message)
    if len(value.normalize().as_tuple().digits) > MOST_DIGITS:
        message = f"the {what} has more than {MOST_DIGITS} digits"
        raise CriteriaError(message)
    return f"{value.normalize():f}" if value else "0"


def _days(value: Json, what: str, least: int, most: int) -> int:
    if not isinstance(value, Decimal) or not value.is_finite() or not least <= value <= most or value % 1:
        message = f"the {what} is a whole number of days from {least} to {most}, not {_quoted(value)}"
        raise CriteriaError(message)
    return int(value)


def _date(value: Json, what: str) -> str:
    try:
        if not isinstance(value, str) or not ISO_DATE.fullmatch(value):
            raise ValueError  # noqa: TRY301 - said below
        return date.fromisoformat(value).isoformat()
    except ValueError as error:
        message = f"the {what} is a date as 2024-11-30, not {_quoted(value)}"
        raise CriteriaError(message) from error


def plain_text(value: Json, what: str, longest: int = LONGEST_VALUE) -> str:
    """Return a text without blanks around it, that may stand in a seed as one element of a value."""
    text = one_line(value, what, longest)
    if "|" in text:
        message = f"the {what} holds a |, which parts the elements of a list in the seeds"
        raise CriteriaError(message)
    return text


def one_line(value: Json, what: str, longest: int = LONGEST_VALUE) -> str:
    """Return a text without blanks around it, that may stand in a seed."""
    if not isinstance(value, str):
        message = f"the {what} is a text, not {_quoted(value)}"
        raise CriteriaError(message)
    if bad := next((c for c in value if unicodedata.category(c) in NO_TEXT), None):
        message = f"the {what} holds a control character or half a character (U+{ord(bad):04X})"
        raise CriteriaError(message)
    text = value.strip()
    # dbt reads the word null in a seed as a missing value.
    if not text or text.lower() == "null" or len(text) > longest:
        message = f"the {what} is a text of 1 to {longest} characters, and not the word null"
        raise CriteriaError(message)
    return text


def _no_number(word: str) -> str:
    return f"{_quoted(word)} is no number"


def _quoted(value: Json) -> str:
    """Return what was given for a message: short, on one line, printable anywhere."""
    text = str(value) if isinstance(value, Decimal) else json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"  # noqa: PLR2004 - characters of a line


# ── Rules → JSON ──────────────────────────────────────────────────────────────────────────────


def render_criteria(rules: Sequence[Rule], catalogue: Catalogue) -> dict[str, object]:
    """Return the canonical JSON of rules, with numbers, flags and lists as such."""
    groups: dict[int, list[dict[str, object]]] = {}
    for rule in sorted(rules, key=lambda rule: (rule.group_number, rule.rule_number)):
        groups.setdefault(rule.group_number, []).append(_rendered(rule, catalogue.fields[rule.field]))
    match list(groups.values()):
        case []:
            return {}
        case [only]:
            return {"all": only}
        case several:
            return {"any": [{"all": group} for group in several]}


def _rendered(rule: Rule, field: Field) -> dict[str, object]:
    rendered: dict[str, object] = {"field": rule.field, "operator": rule.operator}
    if rule.operator in {"between", "in", "not_in"}:
        rendered["value"] = [_typed(value, field, rule.operator) for value in rule.values]
    elif rule.operator not in NULL_TESTS:
        rendered["value"] = _typed(rule.value, field, rule.operator)
    extra = {key: getattr(rule, key) for key in EVENT_KEYS}
    return rendered | {key: value for key, value in extra.items() if value not in {"", None}}


def _typed(value: str, field: Field, operator: str) -> object:
    if field.value_type in {"number", "event"} or operator.endswith("within_days"):
        number = Decimal(value)
        return int(number) if number == number.to_integral_value() else float(number)
    return value == "true" if field.value_type == "flag" else value


def check_rules(rules: Sequence[Rule], catalogue: Catalogue) -> None:
    """Refuse rules of a seed that criteria in JSON could not have made."""
    for rule in rules:
        if rule.field not in catalogue.fields:
            message = f"unknown field {_quoted(rule.field)}; known are {choices(catalogue.fields)}"
            raise CriteriaError(message)
        field = catalogue.fields[rule.field]
        if field.value_type in {"number", "event"} or rule.operator.endswith("within_days"):
            values = [] if rule.operator in NULL_TESTS else rule.values
            if bad := [value for value in values if not PLAIN_NUMBER.fullmatch(value)]:
                raise CriteriaError(f"{rule.field} {rule.operator}: {_no_number(bad[0])}")
        if field.value_type == "flag" and rule.value not in {"true", "false", ""}:
            message = f"the value of {rule.field} {rule.operator} is true or false, not {_quoted(rule.value)}"
            raise CriteriaError(message)
    numbers = [(rule.group_number, rule.rule_number) for rule in rules]
    made = parse_criteria(json.dumps(render_criteria(rules, catalogue)), catalogue)
    if [(rule.group_number, rule.rule_number) for rule in made] != sorted(numbers):
        message = "groups are numbered from 1, and so are the rules of a group"
        raise CriteriaError(message)
