"""What criteria would give, on the current release: one scan over the customers' attributes.

Text and numbers of criteria are bound as parameters; the SQL text is made from names of the catalogue and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from orchestration.segments.catalogue import COMPARISONS, RANKS, SegmentError
from orchestration.segments.definitions import EVERY_TENANT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duckdb import DuckDBPyConnection

    from orchestration.segments.catalogue import Catalogue
    from orchestration.segments.criteria import Rule
    from orchestration.segments.definitions import Definitions

ATTRIBUTES = "restricted.main.customer_attributes"
NEEDED_TABLES = ("customer_attributes", "segment_members", "data_as_of")
SAMPLE_SIZE = 10
MOST_OVERLAPS = 5

Customer = tuple[str, str]
"""Tenant and customer."""


@dataclass(frozen=True)
class Overlap:
    """How a published segment and the previewed one lie over each other."""

    segment_key: str
    members: int
    both: int
    jaccard: float


@dataclass(frozen=True)
class Preview:
    """Who would be a member."""

    size: int
    customers: int
    overlaps: tuple[Overlap, ...]
    sample: tuple[Customer, ...]
    joining: int | None
    """Members who are not in the published segment; None where none is compared."""
    leaving: int | None

    @property
    def share(self) -> float:
        """Return the share of all customers."""
        return self.size / self.customers if self.customers else 0.0

    def lines(self) -> list[str]:
        """Return the preview as lines for people."""
        lines = [f"{self.size:,} of {self.customers:,} customers ({self.share:.1%})"]
        if self.joining is not None and self.leaving is not None:
            lines.append(f"would join {self.joining:,}, would leave {self.leaving:,}")
        if self.overlaps:
            lines.append("overlap with published segments")
        for overlap in self.overlaps:
            other = f"{overlap.both:,} of its {overlap.members:,}"
            lines.append(f"  {overlap.segment_key:<32} {other:>24}   Jaccard {overlap.jaccard:.3f}")
        if self.sample:
            lines.append("for example")
        lines += [f"  {user_id:<20} {customer_id}" for user_id, customer_id in self.sample]
        return lines


def preview(
    con: DuckDBPyConnection,
    rules: Sequence[Rule],
    catalogue: Catalogue,
    *,
    tenant: str = EVERY_TENANT,
    published_key: str | None = None,
) -> Preview:
    """Evaluate rules on a release that was opened with its restricted file; compare with a published segment."""
    check_release(con)
    query = MembershipQuery(catalogue, tenant)
    con.execute(f"create or replace temp table previewed as {query.sql(rules)}", query.parameters)
    size, customers = con.execute("select count(*) filter (where is_member), count(*) from previewed").fetchone() or (
        0,
        0,
    )
    joining = leaving = None
    if published_key is not None:
        joining, leaving = con.execute(
            """
            select
                count(*) filter (where previewed.is_member and members.customer_id is null),
                count(*) filter (where not previewed.is_member and members.customer_id is not null)
            from previewed
            left join (
                select user_id, customer_id from marts.segment_members where is_current and segment_key = $segment_key
            ) as members using (user_id, customer_id)
            """,
            {"segment_key": published_key},
        ).fetchone() or (0, 0)
    sample = con.execute(
        f"""
        select user_id, customer_id from previewed where is_member
        order by user_id, customer_id limit {SAMPLE_SIZE}
        """
    ).fetchall()
    return Preview(size, customers, _overlaps(con, tenant, published_key), tuple(sample), joining, leaving)


def check_release(con: DuckDBPyConnection) -> None:
    """Refuse a release that was published before there were segments."""
    there = {name for (name,) in con.execute("select table_name from information_schema.tables").fetchall()}
    if not set(NEEDED_TABLES) <= there:
        message = "the current release knows no segments yet: `warehouse run` publishes them"
        raise SegmentError(message)


def _overlaps(con: DuckDBPyConnection, tenant: str, published_key: str | None) -> tuple[Overlap, ...]:
    rows = con.execute(
        f"""
        with members as (
            select user_id, customer_id, segment_key from marts.segment_members
            where
                is_current
                and $tenant in (user_id, '{EVERY_TENANT}')
                and segment_key is distinct from $published_key
        ),
        in_both as (
            select segment_key, count(*) as customers from members
            inner join previewed using (user_id, customer_id)
            where previewed.is_member
            group by segment_key
        ),
        counted as (
            select segment_key, count(*) as members, in_both.customers as in_both from members
            inner join in_both using (segment_key)
            group by segment_key, in_both.customers
        ),
        size as (select count(*) filter (where is_member) as members from previewed)
        select
            counted.segment_key,
            counted.members,
            counted.in_both,
            counted.in_both / (counted.members + size.members - counted.in_both) as jaccard
        from counted
        cross join size
        order by jaccard desc, counted.segment_key
        limit {MOST_OVERLAPS}
        """,
        {"tenant": tenant, "published_key": published_key},
    ).fetchall()
    return tuple(Overlap(*row) for row in rows)


class MembershipQuery:
    """The SQL of one evaluation, and the parameters that its text names."""

    def __init__(self, catalogue: Catalogue, tenant: str) -> None:
        """Begin with no parameter but the tenant."""
        self.catalogue = catalogue
        self.tenant = tenant
        self.parameters: dict[str, object] = {"tenant": tenant}
        self.joins: list[str] = []

    def sql(self, rules: Sequence[Rule]) -> str:
        """Return a query of (user_id, customer_id, is_member), one row per customer."""
        groups = {number: [rule for rule in rules if rule.group_number == number] for number in _group_numbers(rules)}
        conditions = {number: self._conditions(group) for number, group in groups.items()}
        any_group = " or ".join(f"({' and '.join(all_met)})" for all_met in conditions.values())
        return f"""
            with clock as (
                select user_id, as_of_date from marts.data_as_of where $tenant in (user_id, '{EVERY_TENANT}')
            ),
            attributes as (
                select customers.*, clock.as_of_date as state_date from {ATTRIBUTES} as customers
                inner join clock on customers.user_id = clock.user_id
            )
            select attributes.user_id, attributes.customer_id, {any_group or "false"} as is_member
            from attributes
            {" ".join(self.joins)}
            """

    def _bind(self, value: object) -> str:
        name = f"p{len(self.parameters)}"
        self.parameters[name] = value
        return f"${name}"

    def _conditions(self, group: Sequence[Rule]) -> list[str]:
        """Return the conditions of a group; events are counted of those customers only who meet its other rules."""
        events = [rule for rule in group if self.catalogue.fields[rule.field].value_type == "event"]
        ranks = [rule for rule in group if rule.operator in RANKS or rule.field == "joined_segment"]
        # Null is no match, whatever the operator.
        plain = [f"coalesce({self._condition(rule)}, false)" for rule in group if rule not in (*events, *ranks)]
        others = [f"coalesce({self._condition(rule)}, false)" for rule in ranks]
        counted = [self._number_condition(f"coalesce({self._event_figure(rule, plain)}, 0)", rule) for rule in events]
        return [*plain, *others, *counted]

    def _condition(self, rule: Rule) -> str:
        field = self.catalogue.fields[rule.field]
        if field.value_type == "segment":
            return self._joined(rule)
        column = f'attributes."{field.name}"'
        if rule.operator in {"is_null", "is_not_null"}:
            return f"{column} is {'not ' if rule.operator == 'is_not_null' else ''}null"
        if rule.operator in RANKS:
            return self._rank_condition(column, rule)
        return {
            "number": self._number_condition,
            "flag": self._flag_condition,
            "text": self._text_condition,
            "list": self._list_condition,
            "date": self._date_condition,
        }[field.value_type](column, rule)

    def _number_condition(self, column: str, rule: Rule) -> str:
        number = f"cast({column} as double)"
        values = [self._bind(float(value)) for value in rule.values]
        match rule.operator:
            case "between":
                return f"{number} between {values[0]} and {values[1]}"
            case "in" | "not_in":
                return f"{number} {'not ' if rule.operator == 'not_in' else ''}in ({', '.join(values)})"
            case _:
                return f"{number} {_comparison(rule)} {values[0]}"

    def _flag_condition(self, column: str, rule: Rule) -> str:
        return f"{column} {_comparison(rule)} {self._bind(rule.value == 'true')}"

    def _text_condition(self, column: str, rule: Rule) -> str:
        values = [f"lower(cast({self._bind(value)} as varchar))" for value in rule.values]
        match rule.operator:
            case "contains":
                return f"contains(lower({column}), {values[0]})"
            case "in" | "not_in":
                return f"lower({column}) {'not ' if rule.operator == 'not_in' else ''}in ({', '.join(values)})"
            case _:
                return f"lower({column}) {_comparison(rule)} {values[0]}"

    def _list_condition(self, column: str, rule: Rule) -> str:
        value = f"lower(cast({self._bind(rule.value)} as varchar))"
        return f"list_contains(list_transform(cast({column} as varchar[]), lambda element: lower(element)), {value})"

    def _date_condition(self, column: str, rule: Rule) -> str:
        if rule.operator == "within_days":
            return f"attributes.state_date - {column} between 0 and {self._bind(int(rule.value))}"
        if rule.operator == "anniversary_within_days":
            years = f"(year(attributes.state_date) - year({column}))"
            # The anniversary of 29 February is the 28th in other years, as to_years has it.
            this_year, next_year = (f"cast({column} + to_years({years} + {more}) as date)" for more in (0, 1))
            coming = f"case when {this_year} >= attributes.state_date then {this_year} else {next_year} end"
            return f"{coming} - attributes.state_date <= {self._bind(int(rule.value))}"
        values = [self._bind(date.fromisoformat(value)) for value in rule.values]
        if rule.operator == "between":
            return f"{column} between {values[0]} and {values[1]}"
        return f"{column} {_comparison(rule)} {values[0]}"

    def _rank_condition(self, column: str, rule: Rule) -> str:
        """Fewer than so many per cent of the tenant's buyers have a strictly better value."""
        order = "desc" if rule.operator == "top_percent" else "asc"
        is_buyer = "attributes.order_count > 0"
        buyers = f"partition by attributes.user_id, {is_buyer}"
        better = f"rank() over ({buyers} order by {column} {order} nulls last) - 1"
        share = f"{self._bind(float(rule.value))} * count(*) over ({buyers})"
        return f"{is_buyer} and {column} is not null and 100 * ({better}) < {share}"

    def _joined(self, rule: Rule) -> str:
        table = f"joined_{len(self.joins)}"
        self.joins.append(
            f"""
            left join (
                select members.user_id, members.customer_id, true as is_new
                from marts.segment_members as members
                inner join clock on members.user_id = clock.user_id
                where
                    members.is_current
                    and not members.is_joined_before_history
                    and members.segment_key = {self._bind(rule.subject)}
                    and members.joined_date > clock.as_of_date - {self._bind(int(rule.value))}
            ) as {table}
                on attributes.user_id = {table}.user_id and attributes.customer_id = {table}.customer_id"""
        )
        return f"{table}.is_new"

    def _event_figure(self, rule: Rule, plain: Sequence[str]) -> str:
        """Return a column with the count or sum of an event rule; it is joined once for each rule."""
        table = f"events_{len(self.joins)}"
        is_lines = rule.subject == "purchase" and not rule.sum_property and rule.match_key in _LINE_MATCHES
        rows = "marts.order_lines" if is_lines else "marts.customer_behavior_events"
        figure = {
            "event_count": f"count(distinct rows.{'event_id' if is_lines else 'id'})",
            "event_days": "count(distinct rows.event_date)",
            "event_sum": f"sum(rows.{'gross_amount' if is_lines else 'event_value'})",
        }[rule.field]
        if rule.sum_property:
            figure = f"sum(try_cast({self._property(rule.sum_property)} as double))"
        conditions = ["rows.event_date <= clock.as_of_date - cast(" + self._bind(rule.first_day or 0) + " as integer)"]
        if rule.last_day is not None:
            conditions.append(f"rows.event_date >= clock.as_of_date - cast({self._bind(rule.last_day)} as integer)")
        if not is_lines:
            conditions.append(f"rows.event_type = {self._bind(rule.subject)}")
        if rule.match_key:
            conditions.append(self._match(rule, is_lines=is_lines))
        candidates = ""
        if plain:
            candidates = f"""
                semi join (select user_id, customer_id from attributes where {" and ".join(plain)}) as candidates
                    on rows.user_id = candidates.user_id and rows.customer_id = candidates.customer_id"""
        self.joins.append(
            f"""
            left join (
                select rows.user_id, rows.customer_id, {figure} as figure
                from {rows} as rows
                inner join clock on rows.user_id = clock.user_id
                {candidates}
                where {" and ".join(conditions)}
                group by rows.user_id, rows.customer_id
            ) as {table}
                on attributes.user_id = {table}.user_id and attributes.customer_id = {table}.customer_id"""
        )
        return f"{table}.figure"

    def _match(self, rule: Rule, *, is_lines: bool) -> str:
        value = f"cast({self._bind(rule.match_value)} as varchar)"
        match rule.match_key:
            case "category":
                return f"lower(rows.product_category) = {value}"
            case "product":
                return f"{value} in (lower(rows.product_id), lower(rows.product_name))"
            case "brand" if is_lines:
                return f"lower(rows.brand) = {value}"
            case _:
                return f"lower({self._property(rule.match_key)}) = {value}"

    def _property(self, name: str) -> str:
        path = self._bind(f'$."{name}"')
        return f"json_extract_string(rows.event_properties, cast({path} as varchar))"


_LINE_MATCHES = ("", "category", "product", "brand")
"""What order lines know of themselves; purchases are matched by their other properties as events."""


def _group_numbers(rules: Sequence[Rule]) -> list[int]:
    return sorted({rule.group_number for rule in rules})


def _comparison(rule: Rule) -> str:
    """Return a comparison for the SQL text, and nothing else."""
    if rule.operator not in COMPARISONS:
        message = f"{rule.field} has no operator {rule.operator!r}"
        raise SegmentError(message)
    return rule.operator


def rules_of_segment(definitions: Definitions, key: str) -> tuple[Rule, ...]:
    """Return the rules of a segment's last version; of one that is manual, retired or unknown there are none."""
    segment = definitions.latest().get(key)
    if segment is None or not segment.is_active:
        active = sorted(k for k, s in definitions.latest().items() if s.is_active)
        message = f"there is no segment {key!r}; there are {', '.join(active)}"
        raise SegmentError(message)
    if not segment.is_automatic:
        message = f"segment {key} is manual: feed segment_assignments says who is in it"
        raise SegmentError(message)
    return definitions.rules_of(segment)
