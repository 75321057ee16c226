"""How the last run went, in a small file: a failed run is in no release, and a run under way holds the database."""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import duckdb

from orchestration import ledger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestration.home import Home


@dataclass(frozen=True)
class LastRun:
    """When a run began (UTC), how long it took, how it ended and how much memory its hungriest step took."""

    run_id: str
    started_at: datetime
    outcome: str = "under way, or killed"
    seconds: float | None = None
    peak_memory_bytes: int | None = None


@contextmanager
def told(home: Home, run_id: str) -> Iterator[None]:
    """Write down that a run has begun and, unless it is killed, how it ended."""
    began = LastRun(run_id, ledger.utc_now())
    _write(home, began)
    try:
        yield
    finally:
        _write(home, _ended(home, began))


def read(home: Home) -> LastRun | None:
    """Return the last run; None before the first that was told of."""
    if not home.last_run.exists():
        return None
    record = json.loads(home.last_run.read_text(encoding="utf-8"))
    return LastRun(**record | {"started_at": datetime.fromisoformat(record["started_at"])})


def _write(home: Home, run: LastRun) -> None:
    new = home.last_run.with_suffix(".new")
    new.write_text(json.dumps(asdict(run), default=lambda moment: moment.isoformat()), encoding="utf-8")
    new.replace(home.last_run)


def _ended(home: Home, began: LastRun) -> LastRun:
    seconds = (ledger.utc_now() - began.started_at).total_seconds()
    outcome, peak = "failed", None
    # The database may be what failed; the run's own message says more.
    with suppress(duckdb.Error), home.connect() as con:
        steps = con.execute("select step, status, message from raw.run_ledger where run_id = ?", [began.run_id])
        outcome = outcome_of({step: (status, message) for step, status, message in steps.fetchall()})
        peak = ledger.peak_of_run(con, began.run_id)
    return LastRun(began.run_id, began.started_at, outcome, seconds, peak)


def outcome_of(steps: dict[str, tuple[str, str | None]]) -> str:
    """Say how a run ended, from status and message of the steps that it recorded."""
    if "run" in steps:
        return "published"
    if "publish" in steps:
        return "refused by gate 3"
    if "models" in steps:
        return "failed, the models were built" if steps["models"][0] == "success" else "failed while building models"
    if "load" in steps:
        return "nothing new" if steps["load"][1] == ledger.NOTHING_NEW else "failed"
    return "failed while loading"
