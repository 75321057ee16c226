"""The definitions in seeds/segments: read, added to, changed, retired. What does not hold as a whole is not written."""

from __future__ import annotations

import csv
import fcntl
import io
import os
import re
import unicodedata
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from orchestration.segments.catalogue import SegmentError, choices, read_catalogue, read_seed
from orchestration.segments.criteria import CriteriaError, Rule, check_rules, one_line, parse_criteria

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from orchestration.segments.catalogue import Catalogue

SEGMENT_TYPES = ("rfm", "behavioral", "cohort", "custom", "demographic", "value-based")
CHANNELS = ("email", "sms", "push", "ads", "any")
EVERY_TENANT = "*"
KEY = re.compile(r"[a-z][a-z0-9_]{0,62}", re.ASCII)
LONGEST_NAME = 100
LONGEST_TEXT = 1_000
EARLIEST_SINCE = date(2000, 1, 1)
FURTHEST_AHEAD = timedelta(days=366)
"""How long before it holds a version may be written."""
RFM_FAMILY = "rfm"


@dataclass(frozen=True)
class Segment:
    """A version of a segment: a row of seed segments, "" where nothing stands."""

    segment_key: str
    since: date
    user_id: str
    name: str
    description: str
    segment_type: str
    is_automatic: bool
    family: str
    is_exclusive: bool
    owner: str
    is_active: bool
    recommended_action: str
    channel: str

    @property
    def is_every_tenants(self) -> bool:
        """Return whether every tenant has the segment."""
        return self.user_id == EVERY_TENANT

    def shares_tenants_with(self, other: Segment) -> bool:
        """Return whether some tenant has both segments."""
        return self.is_every_tenants or other.is_every_tenants or self.user_id == other.user_id


SEGMENT_COLUMNS = tuple(field.name for field in fields(Segment))
RULE_COLUMNS = ("segment_key", "since", "group_number", "rule_number", "field", "subject", "operator", "value",
                "match_key", "match_value", "sum_property", "first_day", "last_day")  # fmt: skip
Version = tuple[str, date]


@dataclass(frozen=True)
class Definitions:
    """All versions of all segments, in the order of the seed, and the rules of each version."""

    segments: tuple[Segment, ...]
    rules: Mapping[Version, tuple[Rule, ...]]

    def versions(self, key: str) -> list[Segment]:
        """Return the versions of a segment, oldest first."""
        return sorted((s for s in self.segments if s.segment_key == key), key=lambda s: s.since)

    def latest(self) -> dict[str, Segment]:
        """Return the last version of each segment by its key."""
        return {segment.segment_key: segment for segment in sorted(self.segments, key=lambda s: s.since)}

    def rules_of(self, segment: Segment) -> tuple[Rule, ...]:
        """Return the rules of a version."""
        return self.rules.get((segment.segment_key, segment.since), ())

    def with_version(self, segment: Segment, rules: Sequence[Rule]) -> Definitions:
        """Return the definitions with a version added, or replaced where it is there."""
        others = [s for s in self.segments if (s.segment_key, s.since) != (segment.segment_key, segment.since)]
        after = max((n for n, s in enumerate(others, 1) if s.segment_key == segment.segment_key), default=len(others))
        together = (*others[:after], segment, *others[after:])
        return Definitions(together, {**self.rules, (segment.segment_key, segment.since): tuple(rules)})


# ── Reading and writing the seeds ─────────────────────────────────────────────────────────────


def read_definitions(seeds: Path) -> Definitions:
    """Read the definitions from a folder of seeds; rules of no version are left out."""
    folder = seeds / "segments"
    try:
        segments = tuple(_segment(row) for row in read_seed(folder / "segments.csv", SEGMENT_COLUMNS))
        versions = {(segment.segment_key, segment.since) for segment in segments}
        rules: dict[Version, list[Rule]] = {}
        for row in read_seed(folder / "segment_rules.csv", RULE_COLUMNS):
            version = (row["segment_key"], date.fromisoformat(row["since"]))
            if version in versions:
                rules.setdefault(version, []).append(_rule(row))
    except (ValueError, KeyError) as error:
        message = f"the seeds in {folder} cannot be read: {error}"
        raise SegmentError(message) from error
    return Definitions(segments, {version: tuple(found) for version, found in rules.items()})


def _segment(row: Mapping[str, str]) -> Segment:
    flags = {name: _flag(row[name]) for name in ("is_automatic", "is_exclusive", "is_active")}
    return Segment(**{**row, **flags, "since": date.fromisoformat(row["since"])})


def _flag(text: str) -> bool:
    return {"true": True, "false": False}[text]


def _rule(row: Mapping[str, str]) -> Rule:
    texts = {name: row[name] for name in ("field", "operator", "value", "subject", "match_key", "match_value")}
    first_day, last_day = (int(row[name]) if row[name] else None for name in ("first_day", "last_day"))
    return Rule(
        int(row["group_number"]),
        int(row["rule_number"]),
        **texts,
        sum_property=row["sum_property"],
        first_day=first_day,
        last_day=last_day,
    )


def write_definitions(seeds: Path, definitions: Definitions) -> None:
    """Write both seeds; both are on the disk before either takes its place."""
    folder = seeds / "segments"
    rules = [
        (segment.segment_key, segment.since.isoformat(), *(getattr(rule, name) for name in RULE_COLUMNS[2:]))
        for segment in definitions.segments
        for rule in definitions.rules_of(segment)
    ]
    # Rules first: where the second rename fails, they are rules of no version, which the next change clears away.
    files = {
        folder / "segment_rules.csv": _csv(RULE_COLUMNS, rules),
        folder / "segments.csv": _csv(SEGMENT_COLUMNS, map(astuple, definitions.segments)),
    }
    new = {path: path.with_name(f".{path.name}.new") for path in files}
    try:
        for path, text in files.items():
            with new[path].open("w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        for path in files:
            new[path].replace(path)
    finally:
        for path in new.values():
            path.unlink(missing_ok=True)


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> str:  # noqa: ANN401 - a text, number, flag, date or nothing
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


@contextmanager
def _alone(seeds: Path) -> Iterator[None]:
    """Keep others from changing the seeds between our reading and our writing."""
    descriptor = os.open(seeds / "segments", os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


# ── What must hold ────────────────────────────────────────────────────────────────────────────


def validate(definitions: Definitions, catalogue: Catalogue, rfm_segments: Collection[str]) -> None:
    """Refuse definitions that do not hold as a whole, naming the first thing that is wrong."""
    seen: set[Version] = set()
    for segment in definitions.segments:
        if (segment.segment_key, segment.since) in seen:
            message = f"segment {segment.segment_key} has two versions since {segment.since}"
            raise SegmentError(message)
        seen.add((segment.segment_key, segment.since))
        _check_version(segment, definitions.rules_of(segment), catalogue)
    for key in definitions.latest():
        first, *others = definitions.versions(key)
        if any((s.user_id, s.is_automatic) != (first.user_id, first.is_automatic) for s in others):
            message = f"segment {key}: all versions have the same tenant and are all automatic or all manual"
            raise SegmentError(message)
    active = [segment for segment in definitions.latest().values() if segment.is_active]
    _check_names(active)
    for segment in active:
        _check_derived(segment, definitions)
    _check_families(active, definitions, rfm_segments)


def _check_version(segment: Segment, rules: Sequence[Rule], catalogue: Catalogue) -> None:
    key = segment.segment_key
    if not KEY.fullmatch(key):
        message = f"{key!r} is no segment key: lower-case letters, digits and _, at most 63, a letter first"
        raise SegmentError(message)
    one_line(segment.user_id, "tenant")
    one_line(segment.name, "name", LONGEST_NAME)
    for what in ("description", "family", "owner", "recommended_action"):
        if text := getattr(segment, what):
            one_line(text, what.replace("_", " "), LONGEST_TEXT)
    if segment.segment_type not in SEGMENT_TYPES:
        message = f"unknown type {segment.segment_type!r}; known are {choices(SEGMENT_TYPES)}"
        raise SegmentError(message)
    if segment.channel not in CHANNELS:
        message = f"unknown channel {segment.channel!r}; known are {choices(CHANNELS)}"
        raise SegmentError(message)
    if segment.is_automatic and not rules:
        message = f"segment {key} has no criteria: only a manual one (--manual) has {{}}"
        raise SegmentError(message)
    if not segment.is_automatic and rules:
        message = f"segment {key} is manual: its criteria are {{}}"
        raise SegmentError(message)
    try:
        check_rules(rules, catalogue)
    except CriteriaError as error:
        raise CriteriaError(f"segment {key} since {segment.since}: {error}") from error


def _check_names(active: Sequence[Segment]) -> None:
    by_name: dict[str, list[Segment]] = {}
    for segment in active:
        same = by_name.setdefault(segment.name.casefold(), [])
        if other := next((other for other in same if segment.shares_tenants_with(other)), None):
            message = f"segments {other.segment_key} and {segment.segment_key} have the same name {segment.name!r}"
            raise SegmentError(message)
        same.append(segment)


def _check_derived(segment: Segment, definitions: Definitions) -> None:
    rules = definitions.rules_of(segment)
    derived = [rule for rule in rules if rule.field == "joined_segment"]
    if not derived:
        return
    key = segment.segment_key
    if len(rules) > 1:
        message = f"segment {key}: a joined_segment rule stands alone, without other rules"
        raise SegmentError(message)
    subject = definitions.latest().get(derived[0].subject)
    if subject is None:
        possible = sorted(s.segment_key for s in definitions.latest().values() if _may_be_subject(s, definitions))
        message = f"segment {key}: there is no segment {derived[0].subject!r}; there are {choices(possible)}"
    elif not subject.is_active:
        message = f"segment {key} looks at segment {subject.segment_key}, which is retired"
    elif not subject.is_automatic:
        message = f"segment {key} looks at segment {subject.segment_key}, which is manual"
    elif not _may_be_subject(subject, definitions):
        message = f"segment {key} looks at segment {subject.segment_key}, which itself looks at another segment"
    elif not subject.is_every_tenants and subject.user_id != segment.user_id:
        message = f"segment {key} looks at segment {subject.segment_key} of another tenant"
    elif definitions.versions(subject.segment_key)[0].since > segment.since:
        message = f"segment {key} holds since {segment.since}, before segment {subject.segment_key}, at which it looks"
    else:
        return
    raise SegmentError(message)


def check_subjects(rules: Sequence[Rule], definitions: Definitions) -> None:
    """Refuse rules about a segment that no segment could look at: unknown, manual, retired, or looking at another."""
    for rule in rules:
        subject = definitions.latest().get(rule.subject)
        if rule.field == "joined_segment" and not (subject and _may_be_subject(subject, definitions)):
            possible = sorted(s.segment_key for s in definitions.latest().values() if _may_be_subject(s, definitions))
            message = f"there is no segment {rule.subject!r} to look at; there are {choices(possible)}"
            raise SegmentError(message)


def _may_be_subject(segment: Segment, definitions: Definitions) -> bool:
    rules = definitions.rules_of(segment)
    return segment.is_active and segment.is_automatic and all(rule.field != "joined_segment" for rule in rules)


def _check_families(active: Sequence[Segment], definitions: Definitions, rfm_segments: Collection[str]) -> None:
    """Of an exclusive family, every group is one rule on the same field, and no value is in two segments."""
    families: dict[str, list[Segment]] = {}
    for segment in active:
        if segment.is_exclusive and not segment.family:
            message = f"segment {segment.segment_key} is exclusive, but in no family"
            raise SegmentError(message)
        if segment.family:
            families.setdefault(segment.family, []).append(segment)
    for family, members in families.items():
        if len({member.is_exclusive for member in members}) > 1:
            message = f"family {family} holds exclusive segments and others"
            raise SegmentError(message)
        if members[0].is_exclusive:
            _check_exclusive(family, members, definitions, rfm_segments)


def _check_exclusive(
    family: str, members: Sequence[Segment], definitions: Definitions, rfm_segments: Collection[str]
) -> None:
    values: dict[str, str] = {}
    fields_used = set()
    for member in members:
        rules = definitions.rules_of(member)
        fields_used |= {rule.field for rule in rules}
        groups = [rule.group_number for rule in rules]
        if len(set(groups)) < len(groups) or any(r.operator not in {"=", "in"} for r in rules) or len(fields_used) > 1:
            message = f"family {family} is exclusive: its segments ask by = or in for values of one field"
            raise SegmentError(message)
        for value in (value.casefold() for rule in rules for value in rule.values):
            if values.setdefault(value, member.segment_key) != member.segment_key:
                message = f"family {family} is exclusive: {value!r} is in {values[value]} and in {member.segment_key}"
                raise SegmentError(message)
    domain = {name.casefold() for name in rfm_segments}
    if family == RFM_FAMILY and (missing := sorted(domain - values.keys())):
        message = f"family {family} is exclusive and covers every RFM segment: {choices(missing)} would be in none"
        raise SegmentError(message)


# ── Adding, changing, retiring ────────────────────────────────────────────────────────────────


def add_segment(  # noqa: PLR0913 - the columns of a segment
    seeds: Path,
    *,
    name: str,
    segment_type: str,
    since: date,
    criteria: str | None = None,
    is_manual: bool = False,
    key: str | None = None,
    description: str = "",
    family: str = "",
    tenant: str = EVERY_TENANT,
    known_tenants: Collection[str] | None = None,
    owner: str = "",
    channel: str = "any",
    recommended_action: str = "",
) -> Segment:
    """Write the first version of a segment and return it; with `known_tenants`, another tenant is refused."""
    catalogue = read_catalogue(seeds)
    name = one_line(name, "name", LONGEST_NAME)
    _check_since(since)
    if known_tenants is not None and tenant != EVERY_TENANT and tenant not in known_tenants:
        message = f"there is no tenant {tenant!r}; known are {choices(sorted(known_tenants))}"
        raise SegmentError(message)
    rules = parse_criteria("{}" if criteria is None and is_manual else criteria or "", catalogue)
    if is_manual and rules:
        message = "a manual segment has no criteria: leave --manual or the criteria away"
        raise CriteriaError(message)
    if not is_manual and not rules:
        message = "an automatic segment needs criteria; {} is for --manual only"
        raise CriteriaError(message)
    with _alone(seeds):
        definitions = read_definitions(seeds)
        is_exclusive = any(s.is_exclusive for s in definitions.latest().values() if family and s.family == family)
        segment = Segment(
            segment_key=_new_key(name, key, definitions),
            since=since,
            user_id=tenant,
            name=name,
            description=description.strip(),
            segment_type=segment_type,
            is_automatic=not is_manual,
            family=family.strip(),
            is_exclusive=is_exclusive,
            owner=owner.strip(),
            is_active=True,
            recommended_action=recommended_action.strip(),
            channel=channel,
        )
        _write_version(seeds, definitions, segment, rules, catalogue)
    return segment


def change_segment(seeds: Path, key: str, *, since: date, criteria: str | None = None, **texts: str | None) -> Segment:
    """Write a new version of a segment and return it; `texts` are columns of seed segments, None leaves them.

    On the day of the last version, it takes the last one's place.
    """
    catalogue = read_catalogue(seeds)
    with _alone(seeds):
        definitions = read_definitions(seeds)
        last = _last_version(key, definitions, since)
        rules: Sequence[Rule] = definitions.rules_of(last)
        if criteria is not None:
            rules = parse_criteria(criteria, catalogue)
            if bool(rules) != last.is_automatic:
                kind = "automatic: it needs criteria" if last.is_automatic else "manual: its criteria are {}"
                message = f"segment {key} is {kind}"
                raise CriteriaError(message)
        given = {column: text.strip() for column, text in texts.items() if text is not None}
        changed = replace(last, **given)
        if changed == last and tuple(rules) == definitions.rules_of(last):
            message = f"segment {key} is so already: nothing changes"
            raise SegmentError(message)
        changed = replace(changed, since=since)
        _write_version(seeds, definitions, changed, rules, catalogue)
    return changed


def retire_segment(seeds: Path, key: str, *, since: date) -> Segment:
    """Write a version of a segment that nobody is in, and return it; its history stays."""
    catalogue = read_catalogue(seeds)
    with _alone(seeds):
        definitions = read_definitions(seeds)
        last = _last_version(key, definitions, since)
        retired = replace(last, since=since, is_active=False)
        _write_version(seeds, definitions, retired, definitions.rules_of(last), catalogue)
    return retired


def _write_version(
    seeds: Path, definitions: Definitions, segment: Segment, rules: Sequence[Rule], catalogue: Catalogue
) -> None:
    result = definitions.with_version(segment, rules)
    validate(result, catalogue, read_rfm_segments(seeds))
    write_definitions(seeds, result)


def read_rfm_segments(seeds: Path) -> list[str]:
    """Return the values of field rfm_segment."""
    return [row["segment"] for row in read_seed(seeds / "rfm" / "rfm_segments.csv")]


def _last_version(key: str, definitions: Definitions, since: date) -> Segment:
    if key not in (latest := definitions.latest()):
        message = (
            f"there is no segment {key!r}; there are {choices(sorted(k for k, s in latest.items() if s.is_active))}"
        )
        raise SegmentError(message)
    last = latest[key]
    if not last.is_active:
        message = f"segment {key} is retired since {last.since}: add a new one under another key"
        raise SegmentError(message)
    _check_since(since)
    if since < last.since:
        message = f"segment {key} has a version since {last.since}: the next cannot hold since {since}, before it"
        raise SegmentError(message)
    return last


def _check_since(since: date) -> None:
    last = (datetime.now(UTC) + FURTHEST_AHEAD).date()
    if not EARLIEST_SINCE <= since <= last:
        message = f"a version holds since a day from {EARLIEST_SINCE} to {last}, not {since}"
        raise SegmentError(message)


def _new_key(name: str, key: str | None, definitions: Definitions) -> str:
    """Return the key of a new segment: the one given, or the name's."""
    if key is None:
        letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
        key = re.sub(r"[^a-z0-9]+", "_", letters).strip("_")[:63]
        if not KEY.fullmatch(key):
            message = f"the name {name!r} makes no key: give one with --key"
            raise SegmentError(message)
    if other := definitions.latest().get(key):
        what = "exists already" if other.is_active else f"was retired on {other.since}, and its history keeps the key"
        message = f"segment {key} ({other.name}) {what}: give another key with --key"
        raise SegmentError(message)
    return key
