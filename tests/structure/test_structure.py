"""The laws of the house (DESIGN.md sections 1 to 3) over the parsed project and its files, without exceptions."""

from __future__ import annotations

import ast
import csv
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from small_warehouse import PROJECT_DIR

if TYPE_CHECKING:
    from pathlib import Path

Node = dict[str, Any]

ROOMS = (
    "events",
    "customers",
    "cohorts",
    "rfm",
    "journeys",
    "behavior",
    "features",
    "predictions",
    "segments",
    "performance",
    "quality",
)
"""Rooms of marts in the order in which data may flow."""

MAX_SQL_LINES = 120
"""Lines of a model without blank lines and comments."""
MAX_FILE_BYTES = 2**20

WALL_CLOCK = (
    r"\b(current_date|current_time|current_timestamp|localtimestamp|run_started_at)\b"
    r"|\b(getdate|sysdate|now|today)\s*\("
)
CHANCE = r"\b(random|setseed|gen_random_uuid|uuid|uuidv4|uuidv7)\s*\(|\b(tablesample|using sample)\b"
COMPILE_TIME_QUERY = r"\b(run_query|statement|load_result|get_column_values|adapter\.get_relation|graph\.nodes)\b"
MERGE = r"\bmerge\s+into\b"
MEAN = r"\b(avg|mean|favg|stddev\w*|var_\w+|corr)\s*\("
"""Doubles are summed in the order in which threads bring them: the last digits differ from run to run."""


# ── What the laws are about ───────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def models(manifest: dict[str, Any]) -> dict[str, Node]:
    """Return all models by unique id."""
    return {key: node for key, node in manifest["nodes"].items() if node["resource_type"] == "model"}


@pytest.fixture(scope="module")
def marts(models: dict[str, Node]) -> dict[str, Node]:
    """Return the models of the marts by unique id."""
    return {key: node for key, node in models.items() if _layer(node) == "marts"}


@pytest.fixture(scope="module")
def seeds(manifest: dict[str, Any]) -> dict[str, Node]:
    """Return all seeds by unique id."""
    return {key: node for key, node in manifest["nodes"].items() if node["resource_type"] == "seed"}


@pytest.fixture(scope="module")
def files() -> list[Path]:
    """Return the files that are, or would be, in git."""
    git = shutil.which("git")
    if not git or not (PROJECT_DIR / ".git").exists():
        pytest.skip("not a git checkout: nothing says which files belong to the project")
    command = [git, "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=PROJECT_DIR, check=True, capture_output=True, text=True).stdout
    return [path for name in listed.split("\0") if name and (path := PROJECT_DIR / name).is_file()]


def _layer(node: Node) -> str:
    return node["fqn"][1]


def _room(node: Node) -> str:
    return node["fqn"][2]


def _parents(node: Node) -> list[str]:
    return node["depends_on"]["nodes"]


def _sql_files() -> list[Path]:
    return sorted(
        path for folder in ("models", "macros", "tests/dbt") for path in (PROJECT_DIR / folder).rglob("*.sql")
    )


def _without_comments(sql: str) -> str:
    return re.sub(r"--[^\n]*", "", re.sub(r"\{#.*?#\}", "", sql, flags=re.DOTALL))


def _matches(pattern: str, paths: list[Path]) -> list[str]:
    """Return where a pattern stands outside of comments."""
    return [
        f"{path.relative_to(PROJECT_DIR)}: {found[0]}"
        for path in paths
        for found in re.finditer(pattern, _without_comments(path.read_text(encoding="utf-8")), flags=re.IGNORECASE)
    ]


def _python_imports(path: Path) -> set[str]:
    """Return the top-level packages that a Python file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


# ── One way for the data ──────────────────────────────────────────────────────────────────────


def test_layers_are_the_known_ones(models: dict[str, Node]) -> None:
    assert {_layer(node) for node in models.values()} == {"staging", "intermediate", "marts"}


def test_only_staging_reads_sources(models: dict[str, Node]) -> None:
    readers = {
        node["name"]
        for node in models.values()
        if _layer(node) != "staging" and any(parent.startswith("source.") for parent in _parents(node))
    }
    assert readers == set()


def test_staging_reads_sources_seeds_and_staging_only(models: dict[str, Node]) -> None:
    strays = {
        node["name"]: parent
        for node in models.values()
        if _layer(node) == "staging"
        for parent in _parents(node)
        if parent in models and _layer(models[parent]) != "staging"
    }
    assert strays == {}


def test_staging_holds_views(models: dict[str, Node]) -> None:
    stored = {
        node["name"]
        for node in models.values()
        if _layer(node) == "staging" and node["config"]["materialized"] != "view"
    }
    assert stored == set()


def test_every_source_is_read(manifest: dict[str, Any]) -> None:
    unread = {key for key in manifest["sources"] if not any(c.startswith("model.") for c in manifest["child_map"][key])}
    assert unread == set()


def test_rooms_of_marts_are_known(marts: dict[str, Node]) -> None:
    assert {_room(node) for node in marts.values()} <= set(ROOMS)


def test_marts_read_earlier_rooms_only(models: dict[str, Node], marts: dict[str, Node]) -> None:
    """An intermediate model between two marts does not hide the way back."""

    def marts_above(key: str, seen: set[str]) -> set[str]:
        for parent in _parents(models[key]):
            if parent in models and parent not in seen:
                seen.add(parent)
                marts_above(parent, seen)
        return seen & marts.keys()

    backward = {
        f"{models[above]['name']} ({_room(models[above])}) → {node['name']} ({_room(node)})"
        for key, node in marts.items()
        for above in marts_above(key, set())
        if ROOMS.index(_room(models[above])) > ROOMS.index(_room(node))
    }
    assert backward == set()


def test_intermediate_models_are_private_and_named_so(models: dict[str, Node]) -> None:
    for node in models.values():
        assert (_layer(node) == "intermediate") == (node["config"]["access"] == "private"), node["name"]
        assert (_layer(node) == "intermediate") == node["name"].startswith("int_"), node["name"]
        assert (_layer(node) == "staging") == node["name"].startswith("stg_"), node["name"]


def test_restricted_marts_are_read_by_no_model(models: dict[str, Node], marts: dict[str, Node]) -> None:
    restricted = {key for key, node in marts.items() if node["config"]["access"] != "public"}
    assert restricted
    assert {marts[key]["schema"] for key in restricted} == {"restricted"}
    assert {node["name"] for node in models.values() if restricted & set(_parents(node))} == set()


# ── Marts that others may rely on ─────────────────────────────────────────────────────────────


def test_every_mart_has_an_enforced_contract(marts: dict[str, Node]) -> None:
    assert {node["name"] for node in marts.values() if not node["contract"]["enforced"]} == set()


def test_every_mart_says_its_grain(marts: dict[str, Node]) -> None:
    assert {node["name"] for node in marts.values() if not node["description"].startswith("One row per ")} == set()


def test_every_column_of_a_mart_is_described_and_typed(marts: dict[str, Node]) -> None:
    bare = {
        f"{node['name']}.{name}"
        for node in marts.values()
        for name, column in node["columns"].items()
        if not column["description"].strip() or not column["data_type"]
    }
    assert bare == set()
    assert {node["name"] for node in marts.values() if not node["columns"]} == set()


def test_every_mart_has_a_tested_key(manifest: dict[str, Any], marts: dict[str, Node]) -> None:
    tested = {node["attached_node"] for node in _tests_of_keys(manifest)}
    assert {node["name"] for key, node in marts.items() if key not in tested} == set()


def _tests_of_keys(manifest: dict[str, Any]) -> list[Node]:
    nodes = manifest["nodes"].values()
    return [node for node in nodes if (node.get("test_metadata") or {}).get("name") == "unique_key"]


def test_incremental_models_replace_dates(manifest: dict[str, Any], models: dict[str, Node]) -> None:
    """No `merge`, no delete+insert; the key is tested on the same dates that a run replaces."""
    dates_tested = {
        node["attached_node"]: node["test_metadata"]["kwargs"].get("date_column") for node in _tests_of_keys(manifest)
    }
    for key, node in models.items():
        if node["config"]["materialized"] == "incremental":
            assert node["config"]["incremental_strategy"] == "replace_dates", node["name"]
            assert node["config"]["date_column"] in node["columns"], node["name"]
            assert dates_tested[key] == node["config"]["date_column"], node["name"]


# ── The same rows tomorrow, and on another engine ─────────────────────────────────────────────


def test_no_snapshots_python_models_or_hooks(manifest: dict[str, Any], models: dict[str, Node]) -> None:
    kinds = {node["resource_type"] for node in manifest["nodes"].values()}
    assert kinds == {"model", "seed", "test"}
    assert {node["language"] for node in models.values()} == {"sql"}
    hooked = {
        node["name"]
        for node in manifest["nodes"].values()
        if node["config"].get("pre-hook") or node["config"].get("post-hook")
    }
    assert hooked == set()


@pytest.mark.parametrize("pattern", [WALL_CLOCK, CHANCE, MERGE, MEAN])
def test_sql_is_a_function_of_its_input(pattern: str) -> None:
    assert _matches(pattern, _sql_files()) == []


def test_no_node_queries_while_it_is_compiled(manifest: dict[str, Any]) -> None:
    """Compile-time queries break unit tests. What creates a table may query: that is no part of a model's text."""
    macros = manifest["macros"]
    nodes = manifest["nodes"].values()
    todo, called = [key for node in nodes for key in node["depends_on"]["macros"] if key in macros], set()
    while todo:
        key = todo.pop()
        if key not in called:
            called.add(key)
            todo += macros[key]["depends_on"]["macros"]
    texts = {node["name"]: node["raw_code"] for node in nodes if node["resource_type"] != "seed"}
    texts |= {key: macros[key]["macro_sql"] for key in called if macros[key]["package_name"] == "customer_warehouse"}
    assert len(texts) > len(nodes) / 2
    assert [name for name, text in texts.items() if re.search(COMPILE_TIME_QUERY, _without_comments(text))] == []


@pytest.mark.parametrize(
    ("pattern", "sql"),
    [
        (WALL_CLOCK, "where event_date < current_date"),
        (WALL_CLOCK, "select now() as ran_at"),
        (WALL_CLOCK, "{{ run_started_at }}"),
        (CHANCE, "order by random()"),
        (CHANCE, "select uuid() as id"),
        (COMPILE_TIME_QUERY, "{% set rows = run_query('select 1') %}"),
        (MERGE, "merge into marts.orders"),
        (MEAN, "avg(churn_probability)"),
    ],
)
def test_forbidden_words_are_found(pattern: str, sql: str) -> None:
    assert re.search(pattern, sql, flags=re.IGNORECASE)


def test_seeds_hold_no_wall_clock() -> None:
    assert _matches(WALL_CLOCK, sorted((PROJECT_DIR / "seeds").rglob("*.csv"))) == []


# ── How it reads ──────────────────────────────────────────────────────────────────────────────


def test_models_end_in_their_last_cte(models: dict[str, Node]) -> None:
    others = {}
    for node in models.values():
        *_, last_line = (line for line in node["raw_code"].splitlines() if line.strip())
        *_, last_cte = re.findall(r"^(?:with )?(\w+) as \($", node["raw_code"], flags=re.MULTILINE) or [None]
        if last_line != f"select * from {last_cte}":
            others[node["name"]] = last_line
    assert others == {}


def test_models_are_short(models: dict[str, Node]) -> None:
    lengths = {
        node["name"]: sum(bool(line.strip()) for line in _without_comments(node["raw_code"]).splitlines())
        for node in models.values()
    }
    assert {name: length for name, length in lengths.items() if length > MAX_SQL_LINES} == {}


def test_every_seed_is_typed_and_described(seeds: dict[str, Node]) -> None:
    for node in seeds.values():
        with (PROJECT_DIR / node["original_file_path"]).open(encoding="utf-8", newline="") as file:
            header = next(csv.reader(file))
        assert node["description"].startswith("One row per "), node["name"]
        assert list(node["config"]["column_types"]) == header, node["name"]
        assert {name for name, column in node["columns"].items() if column["description"]} == set(header), node["name"]


def test_every_seed_has_a_tested_key(manifest: dict[str, Any], seeds: dict[str, Node]) -> None:
    tested = {node["attached_node"] for node in _tests_of_keys(manifest)}
    assert {node["name"] for key, node in seeds.items() if key not in tested} == set()


# ── Tests that can fail ───────────────────────────────────────────────────────────────────────


def test_every_singular_test_has_a_planted_violation(manifest: dict[str, Any]) -> None:
    planted = "\n".join(path.read_text(encoding="utf-8") for path in (PROJECT_DIR / "tests" / "negative").glob("*.py"))
    never_seen_failing = {node["name"] for node in _singular_tests(manifest) if f'"{node["name"]}"' not in planted}
    assert never_seen_failing == set()


def test_every_singular_test_belongs_to_an_asset(manifest: dict[str, Any]) -> None:
    """A test of several models becomes an asset check of the one that it names."""
    for node in _singular_tests(manifest):
        named = node["config"]["meta"].get("dagster", {}).get("ref", {}).get("name")
        above = {manifest["nodes"][parent]["name"] for parent in _parents(node) if parent in manifest["nodes"]}
        assert named in above, node["name"]


def _singular_tests(manifest: dict[str, Any]) -> list[Node]:
    return [
        node for node in manifest["nodes"].values() if node["resource_type"] == "test" and not node.get("test_metadata")
    ]


# ── Python and files ──────────────────────────────────────────────────────────────────────────


def test_only_what_exercises_orchestration_imports_it(files: list[Path]) -> None:
    users = {"orchestration", "tests", "benchmarks"}
    importers = {
        str(path.relative_to(PROJECT_DIR))
        for path in files
        if path.suffix == ".py"
        and path.relative_to(PROJECT_DIR).parts[0] not in users
        and "orchestration" in _python_imports(path)
    }
    assert importers == set()


def test_ml_knows_no_engine(files: list[Path]) -> None:
    engines = {"dagster", "dagster_dbt", "dbt", "duckdb", "orchestration"}
    importers = {
        str(path.relative_to(PROJECT_DIR)): engines & _python_imports(path)
        for path in files
        if path.suffix == ".py" and path.relative_to(PROJECT_DIR).parts[0] == "ml"
    }
    assert {name: found for name, found in importers.items() if found} == {}


def test_files_are_small(files: list[Path]) -> None:
    assert {str(path): size for path in files if (size := path.stat().st_size) > MAX_FILE_BYTES} == {}


def test_no_file_names_somebodys_machine(files: list[Path]) -> None:
    private_folder = re.compile(rb"(?<![\w.])/(work|root|home)/")
    assert {str(path) for path in files if private_folder.search(path.read_bytes())} == set()


def test_only_rooms_with_files(files: list[Path]) -> None:
    """No empty rooms, no generated files."""
    generated = {"target", "logs", "dbt_packages", "__pycache__", ".warehouse"}
    assert {str(path) for path in files if generated & set(path.relative_to(PROJECT_DIR).parts)} == set()
