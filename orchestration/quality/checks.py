"""A gate's verdict as Dagster asset checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from orchestration.load.feeds import FEEDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orchestration.load import LoadReport
    from orchestration.quality.prediction_gate import Verdict
    from orchestration.quality.suites import Outcome
    from orchestration.release import ReleaseReport


REFUSED = "refused "
"""How the metadata of a check names a file, or a tenant's scores, that did not enter."""


def refusals(evaluations: Iterable[dg.AssetCheckEvaluation]) -> list[str]:
    """Return what gates kept out while the rest of the run went on, a file or a tenant's scores each, and why."""
    return [
        str(reason.value)
        for evaluation in evaluations
        for name, reason in evaluation.metadata.items()
        if name.startswith(REFUSED)
    ]


def load_checks(report: LoadReport) -> Iterator[dg.AssetCheckResult]:
    """Yield gate 1's verdict for every feed; a feed without a new file passes.

    A refused file is a warning: the rest of the load goes on, and the command ends with exit code 3.
    """
    for feed in FEEDS:
        gate = report.gates.get(feed)
        outcomes = [outcome for suite in gate.suites for outcome in suite.outcomes] if gate else []
        refused = {file.path: file.reason or "" for file in report.refused if file.feed == feed}
        yield dg.AssetCheckResult(
            asset_key=["raw", feed],
            check_name="gate_1",
            passed=not refused and all(outcome.passed for outcome in outcomes),
            severity=dg.AssetCheckSeverity.WARN,
            metadata=_described(outcomes) | {f"{REFUSED}{path}": reason for path, reason in refused.items()},
        )


def prediction_check(verdict: Verdict, asset_key: dg.AssetKey) -> dg.AssetCheckResult:
    """Return gate 2's verdict on all tenants.

    A refused tenant is a warning: the rest of the run goes on, and the command ends with exit code 3.
    """
    found = {f"{REFUSED}{tenant}": f"scores of {tenant}: {'; '.join(said)}" for tenant, said in verdict.refused.items()}
    return dg.AssetCheckResult(
        asset_key=asset_key,
        check_name="gate_2",
        passed=not (verdict.refused or verdict.warnings),
        severity=dg.AssetCheckSeverity.WARN,
        metadata=_described([outcome for suite in verdict.results for outcome in suite.outcomes]) | found,
    )


def release_check(report: ReleaseReport) -> dg.AssetCheckResult:
    """Return gate 3's verdict on a release that was published; a refused one fails its step instead."""
    verdict = report.verdict
    return dg.AssetCheckResult(
        check_name="gate_3",
        passed=not (verdict.refusals or verdict.warnings),
        severity=dg.AssetCheckSeverity.WARN,
        metadata=_described([outcome for suite in verdict.results for outcome in suite.outcomes]),
    )


def _described(outcomes: list[Outcome]) -> dict[str, str]:
    return {
        outcome.rule: f"{'passed' if outcome.passed else outcome.severity}: {outcome.observed}" for outcome in outcomes
    }
