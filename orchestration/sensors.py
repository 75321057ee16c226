"""What starts a run between mornings: new raw files."""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg

from orchestration.home import Home, warehouse_home
from orchestration.load.feeds import FEEDS
from orchestration.load.files import find_files
from orchestration.schedules import daily_job

if TYPE_CHECKING:
    from pathlib import Path

SETTLED_SECONDS = 30
"""A file younger than this may still be written to."""


def fingerprint(raw: Path, now: float) -> str | None:
    """Return a hash of the raw files (path, size, time), or None while one of them is too young to be whole.

    Records of exports and look-alikes start no run: the next one takes them along.
    """
    files = [file for file in find_files(raw)[0] if not FEEDS[file.feed].is_audit]
    moment = datetime.fromtimestamp(now, UTC).replace(tzinfo=None)
    # A time that lies ahead was not written by this clock: it was set back since, and the file must not wait for it.
    if any(abs((moment - file.modified_at).total_seconds()) < SETTLED_SECONDS for file in files):
        return None
    listing = "\n".join(f"{file.path}\t{file.size_bytes}\t{file.modified_at}" for file in files)
    return hashlib.sha256(listing.encode()).hexdigest()[:16]


@dg.sensor(job=daily_job, minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.STOPPED)
def new_raw_files(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Ask for a run when the set of raw files has changed and settled."""
    seen = fingerprint(Home(warehouse_home()).raw, time.time())
    if seen is None:
        return dg.SkipReason("a raw file is still being written")
    if seen == context.cursor:
        return dg.SkipReason("no new raw file")
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=seen)], cursor=seen)
