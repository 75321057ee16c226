"""Checking: may this warehouse be verified, how, and what came out."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import duckdb

from orchestration import ledger
from orchestration.console import say
from orchestration.home import exclusive, read_manifest
from orchestration.parameters import VERIFY_STEP, Parameters, State, reason_to_build
from orchestration.state import as_of_given, waiting
from orchestration.verify.comparing import Comparison, compare, verified_tables
from orchestration.verify.sampling import ask_for, complete_session_dates, computed_dates, draw
from orchestration.verify.scratch import RebuildError, rebuild, scratch_database, scratch_folder, show_raw_tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from orchestration.home import Home


class VerifyError(RuntimeError):
    """The warehouse cannot be verified as it stands."""


@dataclass(frozen=True)
class Verdict:
    """What a verification found."""

    scope: str
    """What was compared, in words."""
    comparisons: tuple[Comparison, ...]

    @property
    def drifted(self) -> list[Comparison]:
        """Return the tables that differ."""
        return [comparison for comparison in self.comparisons if not comparison.is_equal]

    @property
    def rows(self) -> int:
        """Return the rows that were compared."""
        return sum(comparison.working_rows for comparison in self.comparisons)

    @property
    def summary(self) -> str:
        """Say the outcome in a sentence."""
        if not self.drifted:
            return f"{self.scope}: {len(self.comparisons)} tables equal a rebuild"
        return (
            f"{self.scope}: {len(self.drifted)} of {len(self.comparisons)} tables differ from a rebuild; "
            "`warehouse run --full-refresh` mends the marts, but find the cause"
        )

    def __str__(self) -> str:
        """Return the summary, and what differs in each table that does."""
        return "\n".join([self.summary, *map(str, self.drifted)])


def new_run_id() -> str:
    """Return an id for a verification that Dagster does not run."""
    return f"verify-{ledger.utc_now():%Y%m%d-%H%M%S-%f}"


def verify(home: Home, *, run_id: str, sample: int | None = None, seed: int | None = None) -> Verdict:
    """Compare the working marts with a rebuild from the same raw tables; record the outcome in the run ledger.

    `sample`: only the incremental models, on as many random (tenant, date) pairs; `seed` draws the same pairs again.
    """
    with exclusive(home, "warehouse verify"):
        as_of = _as_of_of_settled_build(home)
        started, began = time.monotonic(), ledger.utc_now()
        step = ledger.Step(run_id, VERIFY_STEP, VERIFY_STEP, "error", started_at=began)
        try:
            with scratch_folder(home):
                verdict = _check_all(home, as_of) if sample is None else _check_sample(home, sample, _chosen(seed))
            status = "error" if verdict.drifted else "success"
            step = replace(step, status=status, row_count=verdict.rows, message=str(verdict))
        except (RebuildError, duckdb.Error) as error:
            step = replace(step, message=str(error))
            raise
        finally:
            if step.message:
                _record(home, replace(step, seconds=time.monotonic() - started))
    return verdict


def _record(home: Home, step: ledger.Step) -> None:
    with home.connect() as con:
        ledger.record(con, [step])
    home.verified.write_text(f"{step.started_at:%Y-%m-%d %H:%M} UTC: {step.message}\n", encoding="utf-8")


def last_verification(home: Home) -> str:
    """Return when the warehouse was last verified, and what came out, in one line."""
    if not home.verified.exists():
        return "never; `warehouse verify` compares the marts with a rebuild"
    return home.verified.read_text(encoding="utf-8").partition("\n")[0]


def _chosen(seed: int | None) -> int:
    return secrets.randbelow(1_000_000) if seed is None else seed


def reason_to_refuse(state: State) -> str | None:
    """Say what a run would still change in the marts, so that comparing them is vain; None when they are settled."""
    # A day given by hand is no reason: the rebuild is told the same day.
    return reason_to_build(Parameters(), replace(state, was_as_of_given=False))


def _as_of_of_settled_build(home: Home) -> date | None:
    """Return the as-of date that the last build was given, if any; raise where there is no settled build."""
    if not home.database.exists():
        raise VerifyError(f"nothing has been built in {home.path} yet: `warehouse run` first")
    with duckdb.connect(home.database, read_only=True, config=home.settings) as con:
        reason = reason_to_refuse(waiting(con, home))
        if reason:
            raise VerifyError(f"there is no settled build to verify ({reason}): `warehouse run` first")
        return as_of_given(con)


def _check_all(home: Home, as_of: date | None) -> Verdict:
    tables = verified_tables(read_manifest())
    say("verify  rebuilding all models from the raw tables" + (f", as of {as_of}" if as_of else ""))
    with scratch_database(home) as con:
        show_raw_tables(con)
    rebuild(home, ["--full-refresh"], as_of)
    return Verdict("everything", tuple(_told(compare(home, tables))))


def _check_sample(home: Home, size: int, seed: int) -> Verdict:
    tables = [table for table in verified_tables(read_manifest()) if table.is_sampled]
    with scratch_database(home) as con:
        show_raw_tables(con)
        drawn = draw(con, tables, size, seed)
        if not drawn:
            return Verdict("no (tenant, date) pair has events", ())
        dates = computed_dates(drawn)
        ask_for(con, tables, dates)
        (events,) = con.execute("select count(*) from raw.events").fetchone()
    scope = f"{len(drawn)} (tenant, date) pairs of seed {seed}"
    say(f"verify  recomputing {scope} from {events:,} raw events")
    rebuild(home, ["--select", *(f"+{table.name}" for table in tables)])
    compared = {"event_date": dates, "session_date": complete_session_dates(dates)}
    return Verdict(scope, tuple(_told(compare(home, tables, compared))))


def _told(comparisons: Iterator[Comparison]) -> Iterator[Comparison]:
    for comparison in comparisons:
        say(str(comparison))
        yield comparison
