"""docs/operations.md cannot rot: the tests, commands and settings that it names exist, and its queries run."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from small_warehouse import PROJECT_DIR

from orchestration import release
from orchestration.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    import click

OPERATIONS = (PROJECT_DIR / "docs" / "operations.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"^```sql\n(.*?)^```$", OPERATIONS, flags=re.DOTALL | re.MULTILINE)
HEALTHY = "-- No row: "
"""How a query begins that finds nothing where all is well."""
SYMPTOMS = (
    "Segments showing incorrect member counts",
    "Analytics not updating",
    "LTV predictions seem inaccurate",
    "Performance issues on large datasets",
)
"""Headings of document 000, Troubleshooting."""


def section(heading: str) -> str:
    """Return the text under a heading."""
    return re.split(rf"^#+ {re.escape(heading)}$", OPERATIONS, flags=re.MULTILINE)[1]


def python_tests() -> set[str]:
    """Return the names of all functions that pytest collects."""
    texts = (path.read_text(encoding="utf-8") for path in (PROJECT_DIR / "tests").rglob("test_*.py"))
    return {name for text in texts for name in re.findall(r"^def (test_\w+)\(", text, flags=re.MULTILINE)}


def test_every_fault_names_tests_that_exist() -> None:
    table = section("Faults").split("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 20
    known = python_tests()
    for row in rows:
        named = set(re.findall(r"`(test_\w+)`", row.rstrip(" |").rpartition(" | ")[2]))
        assert named, f"no test: {row}"
        assert named <= known, named - known


def test_symptoms_are_those_of_document_000() -> None:
    headings = re.findall(r"^### (.+)$", OPERATIONS, flags=re.MULTILINE)
    assert tuple(headings) == SYMPTOMS


@pytest.mark.parametrize("symptom", SYMPTOMS)
def test_every_symptom_has_a_query_a_test_and_a_repair_that_exist(symptom: str, manifest: dict[str, Any]) -> None:
    text = section(symptom).split("\n### ")[0]
    assert "```sql" in text
    tests = re.search(r"^Test: (.+?)\.\s", text, flags=re.MULTILINE | re.DOTALL)
    assert tests
    names = {node["name"] for node in manifest["nodes"].values() if node["resource_type"] == "test"}
    named = [name for name in re.findall(r"`([^`]+)`", tests[1]) if not name.startswith("make ")]
    assert set(named) <= names, set(named) - names
    targets = re.findall(r"^([a-z-]+):", (PROJECT_DIR / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= set(targets)
    assert "Repair: " in text
    assert re.search(r"`warehouse \w+", text.partition("Repair: ")[2])


@pytest.mark.parametrize("call", sorted(set(re.findall(r"`warehouse\s([^`]+)`", OPERATIONS))))
def test_every_command_exists(call: str) -> None:
    command: click.Command = main
    for word in call.split():
        if word.startswith("--"):
            assert word in {name for parameter in command.params for name in parameter.opts}, call
        elif word.islower():
            assert word in getattr(command, "commands", {}), call
            command = command.commands[word]  # type: ignore[attr-defined]


def test_the_queries_are_found() -> None:
    assert len(QUERIES) == OPERATIONS.count("```sql") >= 8


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.split("\n")[0].removeprefix("-- ")[:40])
def test_every_query_runs_on_a_release(published: Path, query: str) -> None:
    """One that is to find nothing does so on a sound release."""
    with release.read_release(published) as con:
        rows = con.execute(query).fetchall()
    if query.startswith(HEALTHY):
        assert rows == []


def test_queries_within_sentences_run_on_a_release(published: Path) -> None:
    queries = re.findall(r"`(select [^`]+)`", OPERATIONS)
    assert queries
    with release.read_release(published) as con:
        for query in queries:
            con.execute(" ".join(query.split())).fetchall()


SPOILT = (
    "delete from marts.customer_segments where rowid = 0",
    "update marts.cohorts set member_count = member_count + 1",
    "delete from marts.behavioral_analytics where date > '2024-11-01'",
    "update marts.customer_behavior_summary set total_spent = total_spent + 1",
)
"""What is wrong in the release for each query that is to find nothing, in their order."""


@pytest.mark.parametrize(
    ("query", "violation"),
    list(zip([q for q in QUERIES if q.startswith(HEALTHY)], SPOILT, strict=True)),
    ids=range(len(SPOILT)),
)
def test_every_query_that_finds_nothing_finds_what_is_planted(
    published: Path, tmp_path: Path, query: str, violation: str
) -> None:
    copy = tmp_path / "analytics.duckdb"
    shutil.copyfile(published / "published" / "current" / "analytics.duckdb", copy)
    with duckdb.connect(copy) as con:
        assert con.execute(violation).fetchone()[0] > 0
        assert con.execute(query).fetchall()
