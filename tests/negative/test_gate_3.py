"""Gate 3 seen failing: every rule has a planted violation, and a twin at the edge that passes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

import duckdb
import pytest

from orchestration.quality.release_gate import (
    ALL_RULES,
    INCIDENT_MARTS,
    Clock,
    Comparison,
    compare_marts,
    compare_segments,
    compare_tenants,
    count_lost_keys,
    count_segment_sizes,
    judge,
    read_clocks,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duckdb import DuckDBPyConnection

    from orchestration.quality.release_gate import Record, Verdict

COLUMNS = {"user_id": "VARCHAR", "customer_id": "VARCHAR", "points": "BIGINT"}


@dataclass(frozen=True)
class Mart:
    """A mart as the gate sees it."""

    rows: int
    columns: dict[str, str] = field(default_factory=lambda: COLUMNS)


def marts(before: Mart, after: Mart | None, lost_keys: int = 0) -> Comparison:
    """Compare one mart."""
    now = {"customers": after} if after else {}
    return Comparison(compare_marts({"customers": before}, now, {"customers": lost_keys}), [], [])


def tenants(before: dict[str, date], after: dict[str, date]) -> Comparison:
    """Compare as-of dates that rest on nothing known."""
    sides = ({tenant: Clock(day) for tenant, day in side.items()} for side in (before, after))
    return Comparison([], compare_tenants(*sides), [])


def clocks(before: Clock, after: Clock) -> Comparison:
    """Compare the clocks of one tenant."""
    return Comparison([], compare_tenants({"acme": before}, {"acme": after}), [])


def segments(before: dict[str, int], after: dict[str, int]) -> Comparison:
    """Compare the segment sizes of one tenant."""
    sides = ({("acme", name): size for name, size in side.items()} for side in (before, after))
    return Comparison([], [], compare_segments(*sides))


def broken(verdict: Verdict) -> dict[str, str]:
    """Return the severity of each broken rule."""
    failed = (o for result in verdict.results for o in result.outcomes if not o.passed)
    return {outcome.rule: outcome.severity for outcome in failed}


SUNDAY, MONDAY, TUESDAY = date(2026, 3, 8), date(2026, 3, 9), date(2026, 3, 10)
RETYPED = COLUMNS | {"points": "DOUBLE"}
WIDER = COLUMNS | {"tier": "VARCHAR"}

VIOLATIONS = {
    "shrinkage": (
        marts(Mart(1000), Mart(899)),
        "customers, rule shrinkage: 101 of 1,000 rows are gone",
    ),
    "emptied": (
        marts(Mart(3), Mart(0)),
        "customers, rule emptied: all of its 3 rows are gone",
    ),
    "lost_keys": (
        marts(Mart(1000), Mart(1000), lost_keys=1),
        "customers, rule lost_keys: the customers of 1 rows are gone",
    ),
    "columns_removed": (
        marts(Mart(10, WIDER), Mart(10)),
        "customers, rule columns_removed: 10 rows without tier",
    ),
    "columns_retyped": (
        marts(Mart(10), Mart(10, RETYPED)),
        "customers, rule columns_retyped: 10 rows with another type of points",
    ),
    "columns_added": (
        marts(Mart(10), Mart(10, WIDER)),
        "customers, rule columns_added: 10 rows with new tier",
    ),
    "growth": (
        marts(Mart(1000), Mart(2001)),
        "customers, rule growth: 2,001 rows after 1,000",
    ),
    "as_of_back": (
        tenants({"acme": TUESDAY, "beta": TUESDAY}, {"acme": MONDAY, "beta": TUESDAY}),
        "data_as_of, rule as_of_back: 1 row (acme) back from 2026-03-10 to 2026-03-09",
    ),
    "as_of_moved": (
        clocks(Clock(TUESDAY, "live", "UTC"), Clock(MONDAY, "last event", "UTC")),
        "data_as_of, rule as_of_moved: 1 row (acme) back from 2026-03-10 to 2026-03-09: the tenant has gone quiet",
    ),
    "tenant_gone": (
        tenants({"acme": MONDAY, "beta": MONDAY}, {"acme": MONDAY}),
        "data_as_of, rule tenant_gone: 1 row (beta, 2026-03-09) is gone",
    ),
    "share_drift": (
        segments({"Champions": 300, "Lost": 700}, {"Champions": 401, "Lost": 599}),
        "customer_segments, rule share_drift: 401 rows of acme are Champions, 40.1% after 30.0%",
    ),
}

ALLOWED = {
    "shrinkage by 10 %": marts(Mart(1000), Mart(900)),
    "growth by 100 %": marts(Mart(1000), Mart(2000)),
    "a mart that stays empty": marts(Mart(0), Mart(0)),
    "first rows of a mart": marts(Mart(0), Mart(1000)),
    "columns in another order": marts(Mart(1), Mart(1, dict(reversed(COLUMNS.items())))),
    "the same as-of date": tenants({"acme": MONDAY}, {"acme": MONDAY}),
    "a later as-of date": tenants({"acme": MONDAY}, {"acme": TUESDAY}),
    "a new tenant": tenants({"acme": MONDAY}, {"acme": MONDAY, "beta": MONDAY}),
    "drift by 10 points": segments({"a": 30, "b": 70}, {"a": 40, "b": 60}),
    "a new tenant's segments": Comparison([], [], compare_segments({}, {("acme", "a"): 1})),
    "a first release": Comparison([], [], []),
}


@pytest.mark.parametrize("rule", VIOLATIONS)
def test_planted_violation_is_found(rule: str) -> None:
    """Each rule fails with its own severity, and says table, rule and how many rows."""
    comparison, sentence = VIOLATIONS[rule]
    verdict = judge(comparison)
    severity = ALL_RULES[rule].severity
    assert broken(verdict)[rule] == severity
    assert sentence in (verdict.refusals if severity == "refuse" else verdict.warnings)


@pytest.mark.parametrize("case", ALLOWED)
def test_change_within_bounds_passes(case: str) -> None:
    """At the very edge, and where there is nothing to be compared with, nothing is said."""
    assert broken(judge(ALLOWED[case])) == {}


def test_every_rule_has_a_violation() -> None:
    """A rule that nobody has seen fail is not a rule."""
    assert ALL_RULES.keys() == VIOLATIONS.keys()


def test_mart_that_is_not_published_any_more_is_refused() -> None:
    """Its readers lose rows and columns."""
    assert broken(judge(marts(Mart(5), None))).keys() == {
        "shrinkage",
        "emptied",
        "columns_removed",
    }


@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        (Clock(TUESDAY, "given", "UTC"), Clock(SUNDAY, "live", "UTC"), "as_of_moved"),
        (Clock(TUESDAY, "given", "UTC"), Clock(SUNDAY, "last event", "UTC"), "as_of_moved"),
        (Clock(TUESDAY, "live", "UTC"), Clock(SUNDAY, "last event", "UTC"), "as_of_moved"),
        (Clock(TUESDAY, "live", "Asia/Tokyo"), Clock(MONDAY, "live", "UTC"), "as_of_moved"),
        (Clock(TUESDAY, "live", "Asia/Tokyo"), Clock(SUNDAY, "live", "UTC"), "as_of_back"),
        (Clock(TUESDAY, "live", "UTC"), Clock(MONDAY, "live", "UTC"), "as_of_back"),
        (Clock(TUESDAY, "last event", "UTC"), Clock(MONDAY, "last event", "UTC"), "as_of_back"),
        (Clock(TUESDAY, "last event", "UTC"), Clock(MONDAY, "live", "UTC"), "as_of_back"),
        (Clock(TUESDAY, "given", "UTC"), Clock(MONDAY, "given", "UTC"), "as_of_back"),
        (Clock(TUESDAY, "live", "Asia/Tokyo"), Clock(MONDAY, "given", "UTC"), "as_of_back"),
        (Clock(TUESDAY), Clock(MONDAY, "live", "UTC"), "as_of_back"),
        (Clock(TUESDAY, "given", "UTC"), Clock(MONDAY), "as_of_back"),
        (Clock(TUESDAY, "live"), Clock(MONDAY, "live", "UTC"), "as_of_back"),
    ],
)
def test_as_of_date_may_go_back_only_where_that_is_explained(before: Clock, after: Clock, rule: str) -> None:
    """One tenant that goes quiet or moves must not stop the release of all."""
    assert broken(judge(clocks(before, after))) == {rule: ALL_RULES[rule].severity}


@pytest.mark.parametrize("mart", INCIDENT_MARTS)
def test_rows_of_incident_marts_are_not_judged(mart: str) -> None:
    """A mended file has no rejected rows any more, and every run adds to the ledgers."""
    for rows_before, rows_after in ((1000, 0), (1000, 500), (1, 3)):
        records = compare_marts({mart: Mart(rows_before)}, {mart: Mart(rows_after, RETYPED)}, {})
        assert broken(judge(Comparison(records, [], []))) == {"columns_retyped": "refuse"}


def test_many_findings_are_counted_instead_of_told() -> None:
    """A message stays readable when a thousand tenants break one rule."""
    before = {f"tenant {number:03}": TUESDAY for number in range(100)}
    verdict = judge(tenants(before, dict.fromkeys(before, MONDAY)))
    assert len(verdict.refusals) == 6
    assert verdict.refusals[-1] == "rule as_of_back: 95 findings more"


@pytest.fixture
def con() -> Iterator[DuckDBPyConnection]:
    """Return a connection to two releases: c2 of acme has been swapped for c3, beta has stayed."""
    with duckdb.connect() as con:
        for catalog, second in (("former", "c2"), ("release", "c3")):
            con.execute(f"attach ':memory:' as {catalog}")
            con.execute(f"create schema {catalog}.marts")
            con.execute(f"""
                create table {catalog}.marts.customer_segments as
                from (values
                    ('acme', 'c1', 'Champions'), ('acme', '{second}', 'Lost'), ('beta', 'c2', 'Lost')
                ) as v (organization_id, customer_id, segment)
            """)
        yield con


SEGMENTS = {"organization_id": "VARCHAR", "customer_id": "VARCHAR", "segment": "VARCHAR"}


def test_lost_keys_are_found_even_when_the_count_stays(con: DuckDBPyConnection) -> None:
    """The key is (tenant, customer): beta's c2 does not stand for acme's."""
    sides = {"customer_segments": Mart(3, SEGMENTS)}
    assert count_lost_keys(con, sides, sides) == {"customer_segments": 1}


def test_keys_are_compared_only_where_both_sides_have_them(con: DuckDBPyConnection) -> None:
    """A renamed key is a matter of the columns' rules."""
    before = {"customer_segments": Mart(3, SEGMENTS)}
    after = {"customer_segments": Mart(3, COLUMNS)}
    assert count_lost_keys(con, before, after) == {}
    assert count_lost_keys(con, before, {}) == {}


def test_clocks_say_what_the_release_says(con: DuckDBPyConnection) -> None:
    """An old release knows neither basis nor time zone; a tenant without a date has no clock."""
    con.execute("""
        create table former.marts.data_as_of as
        from (values ('acme', date '2026-03-09')) as v (user_id, as_of_date);
        create table release.marts.data_as_of as
        from (values ('acme', date '2026-03-10', 'live', 'UTC'), ('beta', null, null, 'UTC'))
            as v (user_id, as_of_date, as_of_basis, timezone)
    """)
    old = {"user_id": "VARCHAR", "as_of_date": "DATE"}
    new = old | {"as_of_basis": "VARCHAR", "timezone": "VARCHAR"}
    assert read_clocks(con, "former", {"data_as_of": Mart(1, old)}) == {"acme": Clock(MONDAY)}
    assert read_clocks(con, "release", {"data_as_of": Mart(2, new)}) == {"acme": Clock(TUESDAY, "live", "UTC")}
    assert read_clocks(con, "former", {}) == {}


def test_segment_sizes_are_per_tenant(con: DuckDBPyConnection) -> None:
    """Tenants of different sizes drift apart from each other."""
    sizes = count_segment_sizes(con, "former", {"customer_segments": Mart(3, SEGMENTS)})
    assert sizes == {("acme", "Champions"): 1, ("acme", "Lost"): 1, ("beta", "Lost"): 1}
    assert count_segment_sizes(con, "former", {}) == {}


def test_shrunk_tenant_does_not_hide_behind_a_grown_one() -> None:
    """Shares are taken within the tenant."""
    before = {("acme", "a"): 5, ("acme", "b"): 5, ("beta", "a"): 50, ("beta", "b"): 50}
    after = {("acme", "a"): 9, ("acme", "b"): 1, ("beta", "a"): 46, ("beta", "b"): 54}
    drifted: list[Record] = [r for r in compare_segments(before, after) if r["share_drift"] > 0.10]
    assert [(r["tenant"], r["segment"], r["share_drift"]) for r in drifted] == [
        ("acme", "a", 0.4),
        ("acme", "b", 0.4),
    ]
