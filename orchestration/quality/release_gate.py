"""Gate 3, which decides whether a release may replace the last one.

Both releases are small databases by now, so the gate counts in SQL, compares in plain records (one
per mart, per tenant, per segment) and lets Great Expectations judge these. Every rule has one
form: a measure of the comparison may be at most so much.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from orchestration.quality.suites import run_suite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date
    from pathlib import Path

    from duckdb import DuckDBPyConnection
    from great_expectations.expectations.expectation import Expectation

    from orchestration.quality.suites import Outcome, Severity, SuiteResult

Record = dict[str, Any]

KEYED_MARTS = ("customers", "customer_segments")
"""Marts of one row per customer: whoever is in them stays in them."""

INCIDENT_MARTS = (
    "rejected_events",
    "rejected_rows",
    "load_ledger",
    "score_loads",
    "run_ledger",
    "restatements",
    "model_performance",
    "model_deciles",
    "prediction_outcomes",
)
"""Marts that record what happened: mending a file empties them and every run adds to them, so only
their columns are judged."""

ROW_MEASURES = ("shrinkage", "emptied", "growth")
"""The measures of a mart's rows, which stay 0 for incident marts."""

TENANT_COLUMNS = ("user_id", "organization_id")
"""Names of the tenant's column: the marts keep the one that their document uses."""

FINDINGS_PER_RULE = 5
"""Findings that a message spells out for one rule, before it only counts the others."""


class Shape(Protocol):
    """What the gate must know of a published mart: its rows, and its columns' types by name."""

    @property
    def rows(self) -> int:
        """Return the number of rows."""

    @property
    def columns(self) -> Mapping[str, str]:
        """Return the type of each column."""


@dataclass(frozen=True)
class Clock:
    """A tenant's as-of date and what it rests on; None where its release does not say."""

    as_of_date: date
    basis: str | None = None
    timezone: str | None = None


@dataclass(frozen=True)
class Rule:
    """The most that the measure of its name may be, and the words for a record that exceeds it."""

    name: str
    severity: Severity
    at_most: float
    finding: str

    def expectation(self) -> Expectation:
        """Return the rule as an expectation on a frame that has the measure as a column."""
        from great_expectations.expectations import ExpectColumnValuesToBeBetween

        meta = {"rule": self.name, "severity": self.severity}
        return ExpectColumnValuesToBeBetween(column=self.name, max_value=self.at_most, meta=meta)


MART_RULES = (
    Rule("shrinkage", "refuse", 0.10, "{rows_gone:,} of {rows_before:,} rows are gone"),
    Rule("emptied", "refuse", 0, "all of its {rows_before:,} rows are gone"),
    Rule("lost_keys", "refuse", 0, "the customers of {lost_keys:,} rows are gone"),
    Rule("columns_removed", "refuse", 0, "{rows_after:,} rows without {names_removed}"),
    Rule("columns_retyped", "refuse", 0, "{rows_after:,} rows with another type of {names_retyped}"),
    Rule("columns_added", "warn", 0, "{rows_after:,} rows with new {names_added}"),
    Rule("growth", "warn", 1.00, "{rows_after:,} rows after {rows_before:,}"),
)
TENANT_RULES = (
    Rule("as_of_back", "refuse", 0, "1 row ({tenant}) back from {as_of_before} to {as_of_after}"),
    Rule("as_of_moved", "warn", 0, "1 row ({tenant}) back from {as_of_before} to {as_of_after}: {explanation}"),
    Rule("tenant_gone", "refuse", 0, "1 row ({tenant}, {as_of_before}) is gone"),
)
SEGMENT_RULES = (
    Rule(
        "share_drift",
        "warn",
        0.10,
        "{rows_after:,} rows of {tenant} are {segment}, {share_after:.1%} after {share_before:.1%}",
    ),
)
ALL_RULES = {rule.name: rule for rule in (*MART_RULES, *TENANT_RULES, *SEGMENT_RULES)}
"""By name, which is also the measure's: the column of the suite's frame that the rule looks at."""


@dataclass(frozen=True)
class Comparison:
    """A release set against the one it would replace."""

    marts: Sequence[Record]
    tenants: Sequence[Record]
    segments: Sequence[Record]


@dataclass(frozen=True)
class Verdict:
    """What the gate found; no results at all for a first release, which replaces nothing."""

    results: tuple[SuiteResult, ...] = ()

    @property
    def refusals(self) -> tuple[str, ...]:
        """Return what forbids the swap, each naming the table, the rule and how many rows."""
        return tuple(s for r in self.results for o in r.refusals for s in _sentences(o))

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return what a person should look at, in the same form."""
        return tuple(s for r in self.results for o in r.warnings for s in _sentences(o))


def judge(comparison: Comparison, docs_dir: Path | None = None) -> Verdict:
    """Judge a comparison; with `docs_dir`, each suite also becomes a page of the Data Docs."""
    import pandas as pd

    suites = (
        ("release.marts", comparison.marts, MART_RULES),
        ("release.tenants", comparison.tenants, TENANT_RULES),
        ("release.segments", comparison.segments, SEGMENT_RULES),
    )
    return Verdict(
        tuple(
            run_suite(name, pd.DataFrame(records), [r.expectation() for r in rules], docs_dir)
            for name, records, rules in suites
            if records
        )
    )


def compare_marts(
    before: Mapping[str, Shape], after: Mapping[str, Shape], lost_keys: Mapping[str, int]
) -> list[Record]:
    """Return one record per mart of the last release; new marts have nothing to be compared with.

    Shares are relative to the rows before, and 0 where there were none. A mart that is not
    published any more counts as one that lost its rows and columns; of an incident mart, only the
    columns count.
    """
    return [
        {
            "table": mart,
            **_compare_rows(shape.rows, after[mart].rows if mart in after else 0),
            **(dict.fromkeys(ROW_MEASURES, 0) if mart in INCIDENT_MARTS else {}),
            **_compare_columns(shape.columns, after[mart].columns if mart in after else {}),
            "lost_keys": lost_keys.get(mart, 0),
        }
        for mart, shape in sorted(before.items())
    ]


def _compare_rows(before: int, after: int) -> Record:
    return {
        "rows_before": before,
        "rows_after": after,
        "rows_gone": max(before - after, 0),
        "emptied": before if not after else 0,
        "shrinkage": max(before - after, 0) / before if before else 0.0,
        "growth": max(after - before, 0) / before if before else 0.0,
    }


def _compare_columns(before: Mapping[str, str], after: Mapping[str, str]) -> Record:
    names = {
        "removed": [c for c in before if c not in after],
        "retyped": [c for c in before if c in after and before[c] != after[c]],
        "added": [c for c in after if c not in before],
    }
    counts = {f"columns_{change}": len(columns) for change, columns in names.items()}
    texts = {f"names_{change}": ", ".join(columns) for change, columns in names.items()}
    return counts | texts


def compare_tenants(before: Mapping[str, Clock], after: Mapping[str, Clock]) -> list[Record]:
    """Return one record per tenant of the last release, with its as-of dates."""
    return [
        {
            "table": "data_as_of",
            "tenant": tenant,
            "as_of_before": clock.as_of_date.isoformat(),
            "as_of_after": after[tenant].as_of_date.isoformat() if tenant in after else "",
            **_compare_clocks(clock, after.get(tenant, clock)),
            "tenant_gone": int(tenant not in after),
        }
        for tenant, clock in sorted(before.items())
    ]


def _compare_clocks(before: Clock, after: Clock) -> Record:
    days_back = max((before.as_of_date - after.as_of_date).days, 0)
    explanation = _explain(before, after, days_back)
    return {
        "as_of_back": 0 if explanation else days_back,
        "as_of_moved": days_back if explanation else 0,
        "explanation": explanation,
    }


def _explain(before: Clock, after: Clock, days_back: int) -> str:
    """Return why an as-of date may have gone back without any data being lost, or nothing."""
    # A person who gives an earlier date takes days from the readers, and is asked to confirm it.
    if before.basis is None or after.basis in {None, "given"}:
        return ""
    if before.basis == "given":
        return "the former date was given by hand"
    if (before.basis, after.basis) == ("live", "last event"):
        return "the tenant has gone quiet"
    is_moved = before.timezone and after.timezone and before.timezone != after.timezone
    if is_moved and days_back == 1:
        return f"the time zone was {before.timezone} and is {after.timezone}"
    return ""


def compare_segments(before: Mapping[tuple[str, str], int], after: Mapping[tuple[str, str], int]) -> list[Record]:
    """Return one record per (tenant, segment) of the tenants that both releases have."""
    total_before, total_after = _tenant_totals(before), _tenant_totals(after)
    records = []
    for tenant, segment in sorted(before.keys() | after.keys()):
        if not (total_before[tenant] and total_after[tenant]):
            continue
        size_before, size_after = (side.get((tenant, segment), 0) for side in (before, after))
        share_before = size_before / total_before[tenant]
        share_after = size_after / total_after[tenant]
        records.append(
            {
                "table": "customer_segments",
                "tenant": tenant,
                "segment": segment,
                "rows_before": size_before,
                "rows_after": size_after,
                "share_before": share_before,
                "share_after": share_after,
                # Rounded, because 0.4 - 0.3 is a little more than 0.1 in binary.
                "share_drift": round(abs(share_after - share_before), 9),
            }
        )
    return records


def _tenant_totals(sizes: Mapping[tuple[str, str], int]) -> Counter[str]:
    totals: Counter[str] = Counter()
    for (tenant, _), size in sizes.items():
        totals[tenant] += size
    return totals


def tenant_column(columns: Mapping[str, str]) -> str | None:
    """Return the name of the tenant's column in a mart, if it has one."""
    return next((c for c in TENANT_COLUMNS if c in columns), None)


def count_lost_keys(con: DuckDBPyConnection, before: Mapping[str, Shape], after: Mapping[str, Shape]) -> dict[str, int]:
    """Count, per keyed mart, the customers in catalog `former` that catalog `release` lacks."""
    return {
        mart: _count_lost_keys(con, mart, tenant)
        for mart in KEYED_MARTS
        if mart in before and mart in after
        if (tenant := _key_of(before[mart], after[mart]))
    }


def _key_of(before: Shape, after: Shape) -> str | None:
    """Return the tenant's column where both sides have the same (tenant, customer_id) key."""
    tenant = tenant_column(before.columns)
    is_keyed = all({tenant, "customer_id"} <= side.columns.keys() for side in (before, after))
    return tenant if is_keyed else None


def _count_lost_keys(con: DuckDBPyConnection, mart: str, tenant: str) -> int:
    return con.execute(f"""
        select count(*)
        from former.marts.{mart} as before
        anti join release.marts.{mart} as after using ({tenant}, customer_id)
    """).fetchone()[0]


def read_clocks(con: DuckDBPyConnection, catalog: str, marts: Mapping[str, Shape]) -> dict[str, Clock]:
    """Return the clock per tenant that the data_as_of of an attached release tells."""
    columns = marts["data_as_of"].columns if "data_as_of" in marts else {}
    tenant = tenant_column(columns)
    if tenant is None or "as_of_date" not in columns:
        return {}
    basis, timezone = (c if c in columns else "null" for c in ("as_of_basis", "timezone"))
    clocks = con.execute(f"""
        select {tenant}, as_of_date, {basis}, {timezone}
        from {catalog}.marts.data_as_of
        where as_of_date is not null
    """).fetchall()
    return {tenant: Clock(*clock) for tenant, *clock in clocks}


def count_segment_sizes(
    con: DuckDBPyConnection, catalog: str, marts: Mapping[str, Shape]
) -> dict[tuple[str, str], int]:
    """Count the customers per (tenant, segment) in an attached release."""
    columns = marts["customer_segments"].columns if "customer_segments" in marts else {}
    tenant = tenant_column(columns)
    if tenant is None or "segment" not in columns:
        return {}
    sizes = con.execute(f"""
        select {tenant}, coalesce(segment, 'none'), count(*)
        from {catalog}.marts.customer_segments
        group by all
    """).fetchall()
    return {(tenant, segment): size for tenant, segment, size in sizes}


def _sentences(outcome: Outcome) -> list[str]:
    finding = ALL_RULES[outcome.rule].finding
    told = [
        f"{record['table']}, rule {outcome.rule}: {finding.format(**record)}"
        for record in outcome.failing[:FINDINGS_PER_RULE]
    ]
    untold = len(outcome.failing) - len(told)
    return [*told, f"rule {outcome.rule}: {untold} findings more"] if untold else told
