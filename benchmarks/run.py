"""Time and memory of the product, beside a plain hand-written way to the same outputs, measured in one run.

    python benchmarks/run.py --size 10M

Phases of the product, each a real `warehouse` command in its own process: full build, one more day, one more day with a
hundredth of its events late by up to 60 days, nothing new; then the queries of benchmarks/queries.sql on what was
published. The days are the same at every size: those of a world of 10 M events, 16,000 rows each. The yardstick is
benchmarks/reference.sql on the same files. Both sides have the same memory (WAREHOUSE_MEMORY, else MEMORY). Results go
to benchmarks/results.json, keyed by size, each build with where its seconds went.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb

from orchestration import sample_data
from orchestration.home import duckdb_memory

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results.json"
MEMORY = "9GB"
WORLD_OF_THE_DAYS = 10_000_000
EVENT_TABLES = {
    "events": "event_date",
    "sessions": "session_date",
    "order_lines": "event_date",
    "customer_daily": "event_date",
}
COUNTED_TYPES = re.search(
    r"counted_types = \[(.*?)\]", (HERE.parent / "models/marts/events/customer_daily.sql").read_text(), re.DOTALL
)


def main() -> None:
    """Run all phases at one size and write the figures down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1M", help="events: 1M, 10M, 100M")
    parser.add_argument("--reference", metavar="HOME", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.reference:
        run_reference(Path(arguments.reference))
        return
    os.environ.setdefault("WAREHOUSE_MEMORY", MEMORY)
    events = int(arguments.size.upper().replace("M", "000000").replace("K", "000"))
    with tempfile.TemporaryDirectory(prefix="bench-", dir=os.environ.get("BENCH_DIR")) as folder:
        figures = measure(Path(folder), events)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results[arguments.size.upper()] = figures
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


def measure(home: Path, events: int) -> dict[str, object]:
    """Generate the files, then time the reference and the product's phases on them."""
    began = time.monotonic()
    sample_data.generate(home / "raw", events=events)
    generated = round(time.monotonic() - began, 1)
    reference = timed([sys.executable, __file__, "--reference", str(home)], home)
    shutil.rmtree(home / "reference")
    run = [str(Path(sys.executable).parent / "warehouse"), "run"]
    full_build = timed(run, home) | profile(home)
    sample_data.generate(home / "raw", events=WORLD_OF_THE_DAYS, only_day=date(2026, 1, 1))
    one_more_day = timed(run, home) | profile(home)
    sample_data.generate(home / "raw", events=WORLD_OF_THE_DAYS, only_day=date(2026, 1, 2))
    make_late(home / "raw", "2026-01-02")
    late_day = timed(run, home) | profile(home)
    nothing_new = timed(run, home)
    return {
        "events": events,
        "measured_at": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {memory_gib():.0f} GiB",
        "duckdb": duckdb.__version__,
        "python": platform.python_version(),
        "memory_limit": os.environ["WAREHOUSE_MEMORY"],
        "generate_seconds": generated,
        "reference": reference,
        "full_build": full_build,
        "one_more_day": one_more_day,
        "late_day": late_day,
        "nothing_new": nothing_new,
        "full_build_over_reference": round(full_build["seconds"] / reference["seconds"], 2),
        "query_seconds": query(home / "published" / "analytics.duckdb"),
    }


def make_late(raw: Path, day: str) -> None:
    """Move every hundredth event of a day's files back by 1 to 60 days."""
    for path in (raw / "events").rglob(f"{day}.parquet"):
        moved = path.with_suffix(".moved")
        with duckdb.connect() as con:
            con.execute(f"""
                copy (
                    select * replace (
                        case when hash(id) % 100 = 0 then created_at - to_days((1 + hash(id) // 100 % 60)::integer)
                        else created_at end as created_at
                    )
                    from '{path}'
                ) to '{moved}' (format parquet)
            """)
        moved.replace(path)


def query(published: Path) -> dict[str, float]:
    """Return the seconds of each query in queries.sql, the median of three, each over a connection of its own."""
    figures = {}
    for text in (HERE / "queries.sql").read_text().split("\n-- ")[1:]:
        name, _, sql = text.partition("\n")
        seconds = []
        for _ in range(3):
            with duckdb.connect(published, read_only=True) as con:
                began = time.monotonic()
                con.execute(sql).fetchall()
                seconds.append(time.monotonic() - began)
        figures[name] = round(statistics.median(seconds), 3)
    return figures


def timed(command: list[str], home: Path) -> dict[str, float]:
    """Run a command to its end; return its wall-clock seconds and the peak memory of it and its children."""
    began = time.monotonic()
    log = home / "bench.log"
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=os.environ | {"WAREHOUSE_HOME": str(home)})  # noqa: S603 - our own commands
        peak = 0
        while process.poll() is None:
            peak = max(peak, tree_memory(process.pid))
            time.sleep(0.05)
    # 3 means published with refused files; the generator plants a few bad rows.
    if process.returncode not in (0, 3):
        sys.exit(log.read_text())
    return {"seconds": round(time.monotonic() - began, 1), "peak_gib": round(peak / 2**30, 2)}


def profile(home: Path) -> dict[str, object]:
    """Return where the last run's seconds went, as its ledger has them: per kind of step, and its ten slowest steps.

    Step `models` is the whole of dbt: what its nodes do not account for, most of it start and compilation, is
    `dbt itself`. What no step accounts for is `elsewhere`.
    """
    with duckdb.connect(home / "warehouse.duckdb", read_only=True) as con:
        steps = con.execute("""
            select kind, step, seconds from raw.run_ledger
            where run_id = (select arg_max(run_id, rowid) from raw.run_ledger) and seconds is not null
            order by seconds desc, step
        """).fetchall()
    seconds_of = {step: seconds for _, step, seconds in steps}
    parts = [(kind, step, seconds) for kind, step, seconds in steps if kind not in ("run", "models")]
    by_kind = {
        name: sum(seconds for kind, _, seconds in parts if kind == name) for name in {kind for kind, _, _ in parts}
    }
    dbt_nodes = sum(by_kind[kind] for kind in ("seed", "model", "test"))
    by_kind["dbt itself"] = seconds_of["models"] - dbt_nodes
    by_kind["elsewhere"] = seconds_of["run"] - sum(by_kind.values())
    return {
        "seconds_by_kind": {kind: round(seconds, 1) for kind, seconds in sorted(by_kind.items())},
        "slowest_steps": {step: round(seconds, 1) for _, step, seconds in parts[:10]},
    }


def tree_memory(pid: int) -> int:
    """Return the resident memory, in bytes, of a process and all its descendants (Linux)."""
    total = 0
    try:
        total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += sum(tree_memory(int(child)) for child in (task / "children").read_text().split())
    except (FileNotFoundError, ProcessLookupError):
        pass
    return total


def memory_gib() -> float:
    """Return the machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def run_reference(home: Path) -> None:
    """Run reference.sql on the raw files of a home, and write its event tables as sorted Parquet by month."""
    out = home / "reference"
    out.mkdir()
    model = (HERE.parent / "models" / "marts" / "events" / "customer_daily.sql").read_text()
    types = [*re.findall(r"'(\w+)'", re.search(r"counted_types = \[(.*?)\]", model, re.DOTALL)[1]), "purchase"]
    counts = "\n".join(f"    count(*) filter (event_type = '{name}') as {name}," for name in types)
    script = (HERE / "reference.sql").read_text()
    for name, value in {"$raw": str(home / "raw"), "$out": str(out), "$counts": counts}.items():
        script = script.replace(name, value)
    config = {"memory_limit": duckdb_memory(), "temp_directory": str(out / "tmp")}
    with duckdb.connect(out / "reference.duckdb", config=config) as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute(script)
        for table, day in EVENT_TABLES.items():
            (out / table).mkdir()
            months = con.execute(f"select distinct date_trunc('month', {day})::date from {table} order by 1").fetchall()
            for (month,) in months:
                rows = f"from {table} where date_trunc('month', {day}) = '{month}' order by user_id, customer_id, {day}"
                con.execute(f"copy ({rows}) to '{out}/{table}/{month:%Y-%m}.parquet'")


if __name__ == "__main__":
    main()
