"""Where things are, who may write, and which code a run uses."""

from __future__ import annotations

import csv
import fcntl
import hashlib
import json
import os
import re
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PROJECT_DIR = Path(__file__).resolve().parents[1]
DBT = Path(sys.executable).parent / "dbt"
"""The dbt that was installed beside this Python, whatever PATH says."""

MANIFEST = PROJECT_DIR / "target" / "manifest.json"
LAST_HOUR = 23
LEAST_MEMORY = 256 * 2**20
PYTHON_MEMORY = 10**9
"""Bytes that a run takes beside DuckDB's own limit: Dagster 0.5 GB, dbt 0.3 GB, and what DuckDB does not count."""
UNITS = {
    f"{prefix}{suffix}": base ** (1 + power)
    for power, prefix in enumerate("KMGT")
    for suffix, base in (("B", 1000), ("IB", 1024))
}
INCREMENTAL_MACROS = ("macros/replace_dates.sql", "macros/batches.sql")
CODE_FILES = ("dbt_project.yml", "models", "macros", "seeds")
DEFINITIONS = ("seeds/segments/segments.csv", "seeds/segments/segment_rules.csv")
"""Seeds with `meta: {dated: true}`: their rows hold from a date on, and what follows them compares versions itself."""


def warehouse_home() -> Path:
    """Return the folder that holds everything written: WAREHOUSE_HOME, by default `.warehouse`."""
    return Path(os.environ.get("WAREHOUSE_HOME") or PROJECT_DIR / ".warehouse").resolve()


@dataclass(frozen=True)
class Home:
    """The places below one WAREHOUSE_HOME."""

    path: Path

    @property
    def raw(self) -> Path:
        """Return the folder that raw files are dropped into, one sub-folder a feed."""
        return self.path / "raw"

    @property
    def database(self) -> Path:
        """Return the working database; it belongs to the run alone."""
        return self.path / "warehouse.duckdb"

    @property
    def models(self) -> Path:
        """Return the folder of the fitted models (ml/registry.py)."""
        return self.path / "models"

    @property
    def docs(self) -> Path:
        """Return the folder of the data-quality pages."""
        return self.path / "docs" / "data_quality"

    @property
    def scratch(self) -> Path:
        """Return the folder in which `warehouse verify` rebuilds; it is there only while that goes on."""
        return self.path / "tmp" / "verify"

    @property
    def parsed_project(self) -> Path:
        """Return what dbt keeps of the project, parsed under this home's profile, so as not to parse it again."""
        return self.path / "tmp" / "partial_parse.msgpack"

    @property
    def verified(self) -> Path:
        """Return the file that tells how the last verification went; nobody needs the working database to read it."""
        return self.path / "verified.txt"

    @property
    def last_run(self) -> Path:
        """Return the file that says how the last run went: readable while a run holds the database."""
        return self.path / "last_run.json"

    @property
    def lock(self) -> Path:
        """Return the file whose lock says that a run is under way, and whose text says which."""
        return self.path / "run.lock"

    def make(self) -> Home:
        """Create the folders that a run and its user expect; raise SettingError where a file has their name."""
        if self.path.exists() and not self.path.is_dir():
            message = f"WAREHOUSE_HOME is {self.path}, which is a file: name a folder"
            raise SettingError(message)
        for folder in (self.raw / "events", self.path / "tmp", self.path / "dagster"):
            folder.mkdir(parents=True, exist_ok=True)
        return self

    @property
    def settings(self) -> dict[str, str]:
        """Return DuckDB's limits; every connection of a process must be opened with the same."""
        return {
            "memory_limit": duckdb_memory(),
            "temp_directory": str(self.path / "tmp"),
        }

    @contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the working database for writing; time zone UTC, spill files below the home."""
        with duckdb.connect(self.database, config=self.settings) as con:
            con.execute("set TimeZone = 'UTC'")
            yield con


def schedule_hour() -> int:
    """Return the local hour of the daily run, from WAREHOUSE_SCHEDULE_HOUR; raise SettingError where it is none."""
    wish = os.environ.get("WAREHOUSE_SCHEDULE_HOUR", "3")
    if not re.fullmatch(r"\d+", wish) or int(wish) > LAST_HOUR:
        message = f"WAREHOUSE_SCHEDULE_HOUR is {wish!r}: write an hour, 0 to {LAST_HOUR}"
        raise SettingError(message)
    return int(wish)


def duckdb_memory(wish: str | None = None) -> str:
    """Return what DuckDB may take of WAREHOUSE_MEMORY: a size or a share of the machine, for DuckDB and Python.

    Raises SettingError when the setting is neither.
    """
    wish = wish or os.environ.get("WAREHOUSE_MEMORY", "75%")
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(%|[KMGT]i?B)", wish.strip(), flags=re.IGNORECASE)
    if not found:
        message = f"WAREHOUSE_MEMORY is {wish!r}: write a size, such as 8GB, or a share of the machine, such as 75%"
        raise SettingError(message)
    number, unit = float(found[1]), found[2].upper()
    machine = psutil.virtual_memory().total
    size = number / 100 * machine if unit == "%" else number * UNITS[unit]
    if not LEAST_MEMORY <= size <= machine:
        message = (
            f"WAREHOUSE_MEMORY is {wish!r}, {size / 2**20:,.0f} MiB: write something between"
            f" {LEAST_MEMORY / 2**20:,.0f} MiB and what the machine has, {machine / 2**20:,.0f} MiB"
        )
        raise SettingError(message)
    return f"{max(size - PYTHON_MEMORY, size / 2) / 2**20:.0f}MiB"


class SettingError(ValueError):
    """An environment variable holds what it cannot mean."""


class WarehouseBusyError(RuntimeError):
    """Another run holds the warehouse."""


_held: dict[Path, int] = {}
"""Lock files that this process holds, with the number of holders: a command and the job it starts share one lock."""


@contextmanager
def exclusive(home: Home, purpose: str) -> Iterator[None]:
    """Hold the warehouse for one run; raise WarehouseBusyError, naming holder and start, if another process does.

    The lock is the operating system's: it ends with the process, so a killed run leaves nothing to clean up.
    """
    if home.lock in _held:
        _held[home.lock] += 1
        try:
            yield
        finally:
            _held[home.lock] -= 1
        return
    home.make()
    with home.lock.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            message = f"the warehouse {home.path} is held by {file.read().strip() or 'another run'}; wait for it to end"
            raise WarehouseBusyError(message) from None
        file.truncate(0)
        file.write(f"`{purpose}` (process {os.getpid()}) since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC")
        file.flush()
        _held[home.lock] = 1
        try:
            yield
        finally:
            del _held[home.lock]
            file.truncate(0)


def project_checksum(project_dir: Path = PROJECT_DIR) -> str:
    """Return a hash over every file that dbt reads but the definitions, a dot, and one over the definitions.

    When it changes, the marts must be built; when only the second half does, those that follow from the definitions.
    """
    digests = {True: hashlib.sha256(), False: hashlib.sha256()}
    for path in _code_files(project_dir):
        name = path.relative_to(project_dir).as_posix()
        digests[name in DEFINITIONS].update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return f"{digests[False].hexdigest()[:16]}.{digests[True].hexdigest()[:16]}"


def _code_files(project_dir: Path) -> list[Path]:
    roots = [project_dir / name for name in CODE_FILES]
    return sorted(
        path
        for root in roots
        for path in ([root] if root.is_file() else root.rglob("*"))
        if path.suffix in {".sql", ".yml", ".csv", ".md"}
    )


def manifest_is_current(project_dir: Path = PROJECT_DIR, manifest: Path = MANIFEST) -> bool:
    """Say whether target/manifest.json is younger than every file it was made from.

    Definitions aside: their rows are no part of the graph, and every build parses them for itself.
    """
    if not manifest.exists():
        return False
    made = manifest.stat().st_mtime
    files = {*_code_files(project_dir), project_dir / "profiles.yml"} - {project_dir / name for name in DEFINITIONS}
    return all(path.stat().st_mtime <= made for path in files)


def read_manifest(manifest: Path = MANIFEST) -> dict[str, Any]:
    """Return dbt's manifest."""
    return json.loads(manifest.read_text(encoding="utf-8"))


def incremental_checksum(manifest: Mapping[str, Any]) -> str:
    """Return one hash over the incremental models and all the models, seeds and macros that they read.

    When it changes, rows of dates that no load touches are stale: the next run rebuilds the incremental models whole.
    """
    nodes = manifest["nodes"]
    return checksum_of(
        manifest, [k for k, node in nodes.items() if node["config"].get("materialized") == "incremental"]
    )


def checksum_of(manifest: Mapping[str, Any], models: Sequence[str]) -> str:
    """Return one hash over models, by unique id, and all the models, seeds and macros that they are made from.

    Seeds with `meta: {dated: true}` are left out: their rows hold from a date on, and the models that read them compare
    versions themselves and recompute from there. A changed definition must not cost a full refresh of all events.
    """
    nodes, macros = manifest["nodes"], manifest["macros"]
    todo = list(models)
    seen: set[str] = set()
    while todo:
        key = todo.pop()
        if key in seen or not (key in nodes or key in macros):
            continue
        seen.add(key)
        depends = (nodes.get(key) or macros[key])["depends_on"]
        todo += [*depends.get("macros", []), *depends.get("nodes", [])]
    own_macros = {key for key in seen if key in macros and macros[key]["package_name"] == "customer_warehouse"}
    # Strategy and table creation are dispatched: no node names them.
    own_macros |= {
        key
        for key, macro in macros.items()
        if macro["package_name"] == "customer_warehouse" and macro["original_file_path"] in INCREMENTAL_MACROS
    }
    texts = [nodes[key]["checksum"]["checksum"] for key in seen if key in nodes and not _is_dated(nodes[key])]
    texts += [macros[key]["macro_sql"] for key in own_macros]
    return hashlib.sha256("\0".join(sorted(texts)).encode()).hexdigest()[:16]


def _is_dated(node: Mapping[str, Any]) -> bool:
    return node["resource_type"] == "seed" and node["config"].get("meta", {}).get("dated") is True


def tables_under(manifest: Mapping[str, Any], model: str) -> set[str]:
    """Return the tables that a model reads, as schema.table; of a view, the tables under it in its place."""
    nodes, sources = manifest["nodes"], manifest["sources"]
    tables: set[str] = set()
    todo = list(nodes[model]["depends_on"]["nodes"])
    while todo:
        key = todo.pop()
        if key in sources:
            tables.add(f"{sources[key]['schema']}.{sources[key]['identifier']}")
        elif nodes[key]["config"]["materialized"] in {"view", "ephemeral"}:
            todo += nodes[key]["depends_on"]["nodes"]
        else:
            tables.add(f"{nodes[key]['schema']}.{nodes[key]['alias']}")
    return tables


def known_event_types() -> set[str]:
    """Return the types and aliases of seed event_types; gate 1 warns about others."""
    with (PROJECT_DIR / "seeds" / "events" / "event_types.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {name for row in rows for name in [row["event_type"], *row["aliases"].split("|")] if name}
