"""Time and memory of segments: one more day, sixty dates decided anew, a preview, from JSON to a published segment.

    python benchmarks/segments.py --size 50M

Customers number about a fiftieth of the events. Everything is a real `warehouse` command in its own process, on a copy
of the project whose settings and seeds are changed on the way: memberships are known of 60 dates; a day is added; a
shipped segment is changed from the first of these dates on, so that all are decided anew; a segment is previewed, added
and published. Results go to benchmarks/results.json. `segment_seconds` are those of the models in the folders named
segments, which follow each other; the command does all else that a day asks for, too.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
from run import MEMORY, RESULTS, profile, timed

from orchestration import sample_data

PROJECT = Path(__file__).resolve().parents[1]
PARTS = ["models", "macros", "seeds", "tests/dbt", "orchestration", "ml"]
FILES = ["dbt_project.yml", "profiles.yml", "pyproject.toml"]
DAYS = 60
LAST_DAY = date(2026, 1, 1)
"""The day that is added."""
CHANGED = '{"all": [{"field": "visits_last_30_days", "operator": ">=", "value": 7}]}'
TENANT = "northwind_shop"
CRITERIA = '{"minOrders": 3, "minDaysSinceLastPurchase": 30}'


def main() -> None:
    """Run all phases at one size and write the figures down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1M", help="events: 1M, 10M, 50M")
    size = parser.parse_args().size.upper()
    os.environ.setdefault("WAREHOUSE_MEMORY", MEMORY)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=os.environ.get("BENCH_DIR")) as folder:
        project, home = Path(folder) / "project", Path(folder) / "home"
        copy_project(project)
        os.environ["PYTHONPATH"] = str(project)
        figures = measure(project, home, int(size.replace("M", "000000").replace("K", "000")))
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results[f"segments of {size}"] = figures
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


def copy_project(project: Path) -> None:
    """Copy what a run needs."""
    for part in PARTS:
        shutil.copytree(PROJECT / part, project / part, ignore=shutil.ignore_patterns("__pycache__"))
    for file in FILES:
        shutil.copy(PROJECT / file, project)


def measure(project: Path, home: Path, events: int) -> dict[str, object]:
    """Time each phase."""
    know(project, DAYS)
    sample_data.generate(home / "raw", events=events)
    full_build = ran(project, home)
    sample_data.generate(home / "raw", events=events, only_day=LAST_DAY)
    one_more_day = ran(project, home)
    first = LAST_DAY - timedelta(days=DAYS - 1)
    change = ["super_regulars", "--criteria", CHANGED, "--since", str(first)]
    timed(warehouse("segments", "change", *change), home)
    restated = ran(project, home)
    preview = timed(warehouse("segments", "preview", "--tenant", TENANT, "--criteria", CRITERIA), home)
    added = ["--name", "Measured", "--type", "custom", "--tenant", TENANT, "--criteria", CRITERIA]
    add = timed(warehouse("segments", "add", *added), home)
    publish = ran(project, home)
    return {
        "events": events,
        "measured_at": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "memory_limit": os.environ["WAREHOUSE_MEMORY"],
        "counted": counted(home),
        "full_build": full_build,
        "one_more_day": one_more_day,
        f"restated_{DAYS}_dates": restated,
        "preview": preview,
        "add": add,
        "publish_the_added": publish,
    }


def warehouse(*arguments: str) -> list[str]:
    """Return a command of the copied project: -P keeps this folder out of it, PYTHONPATH stands first."""
    return [sys.executable, "-P", "-m", "orchestration.cli", *arguments]


def know(project: Path, days: int) -> None:
    """Set the dates before a tenant's first load that memberships are known of."""
    settings = project / "seeds" / "tenants" / "tenant_settings.csv"
    lines = settings.read_text().splitlines(keepends=True)
    head = "*,segment_history_days,"
    settings.write_text(
        "".join(f"{head}{days},{line.split(',', 3)[3]}" if line.startswith(head) else line for line in lines)
    )


def ran(project: Path, home: Path) -> dict[str, object]:
    """Run, and return what it took, and what of it the models of segments took."""
    whole = timed(warehouse("run"), home)
    models = [path.stem for path in project.glob("models/**/segments/*.sql")]
    with duckdb.connect(home / "warehouse.duckdb", read_only=True) as con:
        steps = con.execute(
            """
            select step, seconds from raw.run_ledger
            where run_id = (select arg_max(run_id, rowid) from raw.run_ledger) and kind = 'model' and step in ?
            order by seconds desc
            """,
            [models],
        ).fetchall()
    segments = {
        "segment_seconds": round(sum(seconds for _, seconds in steps), 1),
        "slowest_segment_steps": {step: round(seconds, 1) for step, seconds in steps[:8]},
    }
    return whole | segments | profile(home)


def counted(home: Path) -> dict[str, int]:
    """Return how much there was."""
    counts = {
        "customers": "select count(*) from marts.customers",
        "segments": "select count(*) from marts.customer_segments_v2",
        "memberships": "select count(*) from marts.segment_members where is_current",
        "spells": "select count(*) from marts.segment_members",
    }
    with duckdb.connect(home / "published" / "analytics.duckdb", read_only=True) as con:
        return {name: con.execute(sql).fetchall()[0][0] for name, sql in counts.items()}


if __name__ == "__main__":
    main()
