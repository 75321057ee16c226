"""Gates as Great Expectations suites, written in code and judged on small frames.

A gate looks at counts and samples, never at whole tables: rules about single rows are SQL.
Great Expectations takes four seconds to import, so it is imported only when a gate really judges.
"""

from __future__ import annotations

import shutil
from copy import copy
from dataclasses import asdict, dataclass, field
from math import nan
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pandas as pd
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.data_context import EphemeralDataContext
    from great_expectations.expectations.expectation import Expectation

Severity = Literal["refuse", "warn"]

RESULTS_KEPT_PER_SUITE = 10
"""Pages of a suite's past runs that stay in Data Docs: their index reads them all anew."""


class SuiteError(RuntimeError):
    """A suite could not be judged: a faulty expectation or frame, never a verdict on the data."""


@dataclass(frozen=True)
class Outcome:
    """What one rule found: `failing` holds the whole rows of the frame that broke it, if any."""

    rule: str
    severity: Severity
    passed: bool
    observed: str
    failing: list[dict[str, Any]]


@dataclass(frozen=True)
class SuiteResult:
    """The outcomes of one suite, in the order in which its expectations were given."""

    suite: str
    outcomes: tuple[Outcome, ...]

    @property
    def refusals(self) -> tuple[Outcome, ...]:
        """Return the failed rules that forbid going on."""
        return tuple(o for o in self.outcomes if not o.passed and o.severity == "refuse")

    @property
    def warnings(self) -> tuple[Outcome, ...]:
        """Return the failed rules that a person should hear of."""
        return tuple(o for o in self.outcomes if not o.passed and o.severity == "warn")


def run_suite(
    suite: str,
    frame: pd.DataFrame,
    expectations: Sequence[Expectation],
    docs_dir: Path | None = None,
) -> SuiteResult:
    """Judge a frame by expectations that carry `meta={"rule": …, "severity": "refuse" | "warn"}`.

    Rule names are unique within a suite. With `docs_dir`, the result becomes a page of the Data
    Docs there (`index.html`), beside the pages of other suites and of former runs.

    Raises SuiteError when an expectation has no usable meta or its metric could not be computed:
    Great Expectations reports the latter as a failed expectation, which would be a false verdict.
    """
    rules = [_rule_of(suite, expectation) for expectation in expectations]
    if len(set(rules)) != len(rules):
        message = f"suite {suite}: two expectations carry the same rule name: {sorted(rules)}"
        raise SuiteError(message)
    frame = frame.reset_index(drop=True)
    results = _validate(suite, frame, expectations, docs_dir)
    by_rule = {result.expectation_config.meta["rule"]: result for result in results}
    return SuiteResult(suite, tuple(_outcome(suite, by_rule[rule], frame) for rule in rules))


def _rule_of(suite: str, expectation: Expectation) -> str:
    meta = expectation.meta or {}
    if not meta.get("rule") or meta.get("severity") not in {"refuse", "warn"}:
        message = (
            f"suite {suite}: {type(expectation).__name__} needs "
            f"meta={{'rule': …, 'severity': 'refuse' | 'warn'}}, not {expectation.meta!r}"
        )
        raise SuiteError(message)
    return meta["rule"]


def _validate(
    suite: str,
    frame: pd.DataFrame,
    expectations: Sequence[Expectation],
    docs_dir: Path | None,
) -> list[ExpectationValidationResult]:
    import great_expectations as gx

    context = _context(docs_dir)
    asset = context.data_sources.add_pandas("warehouse").add_dataframe_asset(suite)
    batch = asset.add_batch_definition_whole_dataframe("frame")
    # Copies, because an expectation belongs to the first suite that takes it.
    checks = gx.ExpectationSuite(name=suite, expectations=[copy(e) for e in expectations])
    definition = context.validation_definitions.add(
        gx.ValidationDefinition(name=suite, data=batch, suite=context.suites.add(checks))
    )
    result = definition.run(batch_parameters={"dataframe": frame}, result_format="COMPLETE")
    if docs_dir:
        _forget_old_pages(docs_dir, suite)
        keys = context.validation_results_store.list_keys()
        newest = max(
            (key for key in keys if key.expectation_suite_identifier.name == suite), key=lambda key: key.run_id.run_time
        )
        context.build_data_docs(resource_identifiers=[newest])
    return result.results


def _context(docs_dir: Path | None) -> EphemeralDataContext:
    """Return a context that keeps nothing on disk but Data Docs and sends nothing anywhere."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        progress_bars=ProgressBarsConfig(globally=False, metric_calculations=False),
        analytics_enabled=False,
    )
    if docs_dir:
        config.stores["validation_results_store"] = {
            "class_name": "ValidationResultsStore",
            "store_backend": _folder(docs_dir / "results"),
        }
        config.data_docs_sites = {
            "data_quality": {
                "class_name": "SiteBuilder",
                "show_how_to_buttons": False,
                "store_backend": _folder(docs_dir),
                "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            }
        }
    return gx.get_context(mode="ephemeral", project_config=config)


def _folder(path: Path) -> dict[str, str]:
    path.mkdir(parents=True, exist_ok=True)
    return {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(path.absolute())}


def _forget_old_pages(docs_dir: Path, suite: str) -> None:
    """Keep the newest pages of a suite: the index reads every result that is there."""
    for folder in (docs_dir / "results" / suite, docs_dir / "validations" / suite):
        runs = sorted(folder.glob("*/*"), key=lambda run: run.name)
        for run in runs[:-RESULTS_KEPT_PER_SUITE]:
            shutil.rmtree(run)


def _outcome(suite: str, result: ExpectationValidationResult, frame: pd.DataFrame) -> Outcome:
    meta = result.expectation_config.meta
    error = _metric_error(result.exception_info or {})
    if error is not None:
        message = f"suite {suite}, rule {meta['rule']}: the metric could not be computed: {error}"
        raise SuiteError(message)
    positions = result.result.get("unexpected_index_list") or []
    return Outcome(
        rule=meta["rule"],
        severity=meta["severity"],
        passed=bool(result.success),
        observed=_observed(result.result),
        failing=frame.loc[positions].to_dict("records") if not result.success else [],
    )


def _metric_error(exception_info: dict[str, Any]) -> str | None:
    """Return the first error: the info is one record, or one record per metric that failed."""
    nested = (info for info in exception_info.values() if isinstance(info, dict))
    for info in (exception_info, *nested):
        if info.get("raised_exception"):
            return str(info.get("exception_message"))
    return None


def _observed(result: dict[str, Any]) -> str:
    if "observed_value" in result:
        return str(result["observed_value"])
    if "unexpected_count" in result:
        return f"{result['unexpected_count']} of {result['element_count']} rows"
    return "no"


# ── Gate 1: may these files enter? ────────────────────────────────────────────────────────────

MAX_REJECTED_SHARE = 0.5
WARN_REJECTED_SHARE = 0.05
VOLUME_RATIO = (0.5, 2.0)
"""Kept rows of a load over the median of former loads."""
MAX_SHARE_SHIFT = 0.2
"""How far an event type's share may lie from its share in former loads."""
MAX_EVENT_AGE_DAYS = 3.0
"""Age of the newest event when loaded; looked at once former loads were this fresh, so that an
old data set, loaded once, is no alarm."""
MIN_FORMER_LOADS = 3
"""Fewer former loads make no median or share worth comparing with."""


@dataclass(frozen=True)
class FileFacts:
    """What gate 1 knows of a file; `problem` says why it cannot be loaded at all, if so."""

    path: str
    row_count: int = 0
    rejected_count: int = 0
    worst_rule: str = ""
    problem: str = ""

    @property
    def rejected_share(self) -> float:
        """Return the share of rows that broke a rule, in [0, 1]."""
        return self.rejected_count / self.row_count if self.row_count else 0.0


@dataclass(frozen=True)
class LoadFacts:
    """What gate 1 knows of a load; the facts about events are empty for other feeds."""

    feed: str
    files: tuple[FileFacts, ...]
    kept_count: int = 0
    former_kept_counts: tuple[int, ...] = ()
    newest_event_age_days: float | None = None
    former_newest_event_ages_days: tuple[float, ...] = ()
    event_types: dict[str, int] = field(default_factory=dict)
    former_event_types: dict[str, int] = field(default_factory=dict)
    known_event_types: frozenset[str] = frozenset()


@dataclass(frozen=True)
class GateResult:
    """Gate 1's verdict: which files may not enter and why, and what a person should hear of."""

    refused: dict[str, str]
    warnings: tuple[str, ...]
    suites: tuple[SuiteResult, ...]

    @property
    def passed(self) -> bool:
        """Say whether every file may enter."""
        return not self.refused


def judge_load(facts: LoadFacts, docs_dir: Path | None = None) -> GateResult:
    """Judge a load by its facts: refuse single files, warn about the load as a whole."""
    files = _judge_files(facts, docs_dir)
    whole = _judge_volume(facts, docs_dir)
    suites = [files, whole]
    if facts.event_types:
        suites.append(_judge_event_types(facts, docs_dir))
    refused = {file["path"]: _refusal(file) for outcome in files.refusals for file in outcome.failing}
    warnings = [
        _rejects_warning(file) for outcome in files.warnings for file in outcome.failing if file["path"] not in refused
    ]
    for suite in suites[1:]:
        warnings += [_LOAD_WARNINGS[o.rule](facts, row) for o in suite.warnings for row in o.failing]
    return GateResult(refused, tuple(warnings), tuple(suites))


def _judge_files(facts: LoadFacts, docs_dir: Path | None) -> SuiteResult:
    import great_expectations.expectations as gxe
    import pandas as pd

    rows = [asdict(file) | {"rejected_share": file.rejected_share} for file in facts.files]
    expectations = [
        gxe.ExpectColumnValuesToBeInSet(
            column="problem",
            value_set=[""],
            meta={"rule": "readable_with_required_columns", "severity": "refuse"},
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="rejected_share",
            max_value=MAX_REJECTED_SHARE,
            meta={"rule": "rejected_share_at_most_half", "severity": "refuse"},
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="rejected_share",
            max_value=WARN_REJECTED_SHARE,
            meta={"rule": "rejected_share_small", "severity": "warn"},
        ),
    ]
    return run_suite(f"gate_1_{facts.feed}_files", pd.DataFrame(rows), expectations, docs_dir)


def _judge_volume(facts: LoadFacts, docs_dir: Path | None) -> SuiteResult:
    import great_expectations.expectations as gxe
    import pandas as pd

    frame = pd.DataFrame(
        [
            {
                "kept_count": facts.kept_count,
                "volume_ratio": volume_ratio(facts),
                "newest_event_age_days": stale_age_days(facts),
            }
        ],
        dtype=float,
    )
    expectations = [
        gxe.ExpectColumnValuesToBeBetween(
            column="volume_ratio",
            min_value=VOLUME_RATIO[0],
            max_value=VOLUME_RATIO[1],
            meta={"rule": "usual_volume", "severity": "warn"},
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="newest_event_age_days",
            max_value=MAX_EVENT_AGE_DAYS,
            meta={"rule": "fresh_events", "severity": "warn"},
        ),
    ]
    return run_suite(f"gate_1_{facts.feed}_load", frame, expectations, docs_dir)


def _judge_event_types(facts: LoadFacts, docs_dir: Path | None) -> SuiteResult:
    import great_expectations.expectations as gxe
    import pandas as pd

    expectations = [
        gxe.ExpectColumnValuesToBeBetween(
            column="share_shift",
            max_value=MAX_SHARE_SHIFT,
            meta={"rule": "usual_event_type_shares", "severity": "warn"},
        ),
        gxe.ExpectColumnValuesToBeInSet(
            column="is_known",
            value_set=["yes"],
            meta={"rule": "known_event_types", "severity": "warn"},
        ),
    ]
    frame = pd.DataFrame(event_type_rows(facts))
    return run_suite(f"gate_1_{facts.feed}_event_types", frame, expectations, docs_dir)


def volume_ratio(facts: LoadFacts) -> float | None:
    """Return kept rows over the median of former loads; None where there are too few of them."""
    former = [count for count in facts.former_kept_counts if count]
    return facts.kept_count / median(former) if len(former) >= MIN_FORMER_LOADS else None


def stale_age_days(facts: LoadFacts) -> float | None:
    """Return the newest event's age in days; None where former loads were not fresh either."""
    former = facts.former_newest_event_ages_days
    is_live = len(former) >= MIN_FORMER_LOADS and median(former) <= MAX_EVENT_AGE_DAYS
    return facts.newest_event_age_days if is_live else None


def event_type_rows(facts: LoadFacts) -> list[dict[str, Any]]:
    """Return one row per event type of this load or former ones, with its shares.

    The shift is NaN with too few former loads: Great Expectations passes over missing values. A
    type is known in any case of its letters: staging brings it to lower case.
    """
    here, formerly = facts.event_types, facts.former_event_types
    known = {event_type.lower() for event_type in facts.known_event_types}
    is_comparable = len(facts.former_kept_counts) >= MIN_FORMER_LOADS and formerly
    rows = []
    for event_type in sorted({*here, *formerly}):
        share = here.get(event_type, 0) / sum(here.values())
        former = formerly.get(event_type, 0) / sum(formerly.values()) if is_comparable else nan
        is_known = event_type.lower() in known or not known
        rows.append(
            {
                "event_type": event_type,
                "row_count": here.get(event_type, 0),
                "share": share,
                "former_share": former,
                "share_shift": abs(share - former),
                "is_known": "yes" if is_known or event_type not in here else "no",
            }
        )
    return rows


def _refusal(file: dict[str, Any]) -> str:
    if file["problem"]:
        return file["problem"]
    return (
        f"{file['path']}: {file['rejected_count']:,} of {file['row_count']:,} rows were rejected,"
        f" most by the rule {file['worst_rule']}: correct the file, or load it in spite of this"
        f" with `warehouse load accept {file['path']}`"
    )


def _rejects_warning(file: dict[str, Any]) -> str:
    return (
        f"{file['path']}: {file['rejected_count']:,} of {file['row_count']:,} rows were rejected,"
        f" most by the rule {file['worst_rule']}"
    )


_LOAD_WARNINGS: dict[str, Callable[[LoadFacts, dict[str, Any]], str]] = {
    "usual_volume": lambda facts, row: (
        f"{facts.feed}: {facts.kept_count:,} new rows are {row['volume_ratio']:.2f} times the median of former loads"
    ),
    "fresh_events": lambda facts, row: f"{facts.feed}: the newest event is {row['newest_event_age_days']:.1f} days old",
    "usual_event_type_shares": lambda facts, row: (
        f"{facts.feed}: {row['event_type']} makes {row['share']:.0%} of the load, formerly {row['former_share']:.0%}"
    ),
    "known_event_types": lambda facts, row: (
        f"{facts.feed}: {row['row_count']:,} events of the unknown type {row['event_type']} were"
        f" kept: add it to the seed event_types"
    ),
}
