"""What a run can be asked for, and what follows from it: pure functions, so that they can be tested without a run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestration.home import DEFINITIONS

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path


MODELS_STEP = "models"
"""The run ledger's name for the dbt build as a whole."""

DEFINITIONS_CHANGED = "definitions of segments changed"
FOLLOWS_DEFINITIONS = " ".join(f"path:{seed}+" for seed in DEFINITIONS)
"""dbt's selection of what is built where nothing came in, and only definitions of segments changed."""
TELLS_WHAT_WAITS = "int_touched_dates"
"""The one table that follows no definition and yet is another once the loads that waited are published."""

VERIFY_STEP = "verify"
"""The run ledger's name for a comparison of the marts with a rebuild."""


@dataclass(frozen=True)
class Parameters:
    """The wishes of one run."""

    as_of_date: date | None = None
    """The tenant-local day that the marts speak of; None: the rule of int_tenant_clock decides."""
    full_refresh: bool = False
    """Rebuild the event-level models from the raw tables."""
    accept_release: bool = False
    """Publish although gate 3 refuses; recorded in the release."""
    output: Path | None = None
    """Publish into a release of its own below this folder instead of over the current one."""
    test_all_history: bool = False
    """Test event-level models over all dates, not only the recomputed ones: the schedule does it on Sundays."""
    retrain: bool = False
    """Fit the models anew although those of this month stand."""

    def dbt_arguments(self, *, full_refresh: bool) -> list[str]:
        """Return the dbt command of the run; unit tests are CI's, not production's."""
        arguments = ["build", "--exclude-resource-type", "unit_test"]
        if full_refresh:
            arguments.append("--full-refresh")
        variables: dict[str, str | bool] = {}
        if self.as_of_date:
            variables["as_of_date"] = self.as_of_date.isoformat()
        if self.test_all_history:
            variables["test_all_history"] = True
        return [*arguments, "--vars", json.dumps(variables)] if variables else arguments

    def run_config(self) -> dict[str, Any]:
        """Return Dagster's run configuration for these wishes."""
        return {
            "resources": {
                "wishes": {
                    "config": {
                        "as_of_date": self.as_of_date.isoformat() if self.as_of_date else "",
                        "full_refresh": self.full_refresh,
                        "accept_release": self.accept_release,
                        "output": str(self.output) if self.output else "",
                        "test_all_history": self.test_all_history,
                        "retrain": self.retrain,
                    }
                }
            }
        }


@dataclass(frozen=True)
class State:
    """What is waiting when the load step is through."""

    pending_loads: int
    pending_requests: int
    built_checksum: str | None
    """Checksum of the project (its code, a dot, its definitions) that made the last release; None before the first."""
    current_checksum: str
    was_as_of_given: bool
    """Whether the working marts were built for a day given by hand."""
    is_build_unfinished: bool = False
    """Whether models were built, wholly or in part, since the last run that ended well."""


def reason_to_build(parameters: Parameters, state: State) -> str | None:
    """Say why the marts must be built, or None when the last release is still what a run would publish."""
    reasons = _reasons(parameters, state)
    return reasons[0] if reasons else None


def is_only_of_definitions(parameters: Parameters, state: State) -> bool:
    """Say whether definitions of segments are all that changed: what does not follow from them stands as it is."""
    return _reasons(parameters, state) == [DEFINITIONS_CHANGED]


def _reasons(parameters: Parameters, state: State) -> list[str]:
    built, current = state.built_checksum or "", state.current_checksum
    is_same_code = built.partition(".")[0] == current.partition(".")[0]
    reasons = (
        (state.built_checksum is None, "nothing is published yet"),
        (state.pending_loads > 0, f"{state.pending_loads} loaded files wait for publication"),
        (state.pending_requests > 0, f"{state.pending_requests} requests to recompute dates"),
        (not is_same_code, "models, macros or seeds changed"),
        (is_same_code and built != current, DEFINITIONS_CHANGED),
        (parameters.as_of_date is not None, f"as-of date {parameters.as_of_date} is asked for"),
        (state.was_as_of_given, "the last build was for an as-of date given by hand"),
        (state.is_build_unfinished, "the last build has not been published"),
        (parameters.full_refresh, "a full refresh is asked for"),
        (parameters.output is not None, "a release apart is asked for"),
        (parameters.accept_release, "a refused release is accepted"),
        (parameters.test_all_history, "all history is to be tested"),
        (parameters.retrain, "the models are to be fitted anew"),
    )
    return [reason for holds, reason in reasons if holds]


def reason_to_refresh(parameters: Parameters, *, built_checksums: set[str], current_checksum: str) -> str | None:
    """Say why the event-level models must be rebuilt whole, or None when replacing touched dates is enough.

    `built_checksums`: of all code that any of their tables may have been built with; none before the first build.
    """
    if not built_checksums:
        return "first build"
    if parameters.full_refresh:
        return "asked for"
    if built_checksums != {current_checksum}:
        return "an event-level model, macro or seed changed"
    return None
