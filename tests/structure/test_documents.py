"""docs/segments.md and docs/from-the-documents.md cannot rot: tests, segments, marts, commands and queries exist."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, Any

import pytest
from small_warehouse import PROJECT_DIR

from orchestration import release
from orchestration.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    import click

SEGMENTS = (PROJECT_DIR / "docs" / "segments.md").read_text(encoding="utf-8")
FROM_THE_DOCUMENTS = (PROJECT_DIR / "docs" / "from-the-documents.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"^```sql\n(.*?)^```$", FROM_THE_DOCUMENTS, flags=re.DOTALL | re.MULTILINE)
ASKED = SEGMENTS.partition("## What the documents ask for")[2]
SHORT = dict(re.findall(r"`(\w)`\s=\s`(test_\w+)`", ASKED))


def python_tests() -> dict[str, str]:
    """Return the files of all functions that pytest collects, by their names."""
    files = {path: path.read_text(encoding="utf-8") for path in (PROJECT_DIR / "tests").rglob("test_*.py")}
    found = (
        (name, text) for text in files.values() for name in re.findall(r"^\s*def (test_\w+)\(", text, re.MULTILINE)
    )
    return dict(found)


def rows_of(text: str) -> list[list[str]]:
    """Return the cells of the table's rows whose first cell names documents."""
    lines = (line for line in text.splitlines() if re.match(r"\| 00\d", line))
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_every_shipped_segment_is_in_the_table() -> None:
    with (PROJECT_DIR / "seeds" / "segments" / "segments.csv").open(encoding="utf-8", newline="") as file:
        shipped = {row["segment_key"]: f"{row['name']}: {row['description']}" for row in csv.DictReader(file)}
    table = ASKED.partition("### Criteria")[0]
    assert {row[2].strip("`"): row[1] for row in rows_of(table)} == shipped


def test_every_rule_of_a_shipped_segment_is_in_the_table() -> None:
    rows = {row[2].strip("`"): row[3] for row in rows_of(ASKED.partition("### Criteria")[0])}
    with (PROJECT_DIR / "seeds" / "segments" / "segment_rules.csv").open(encoding="utf-8", newline="") as file:
        for rule in csv.DictReader(file):
            value = rule["value"].replace("|", " … " if rule["operator"] == "between" else ", ")
            assert f" {rule['operator']} {value}" in rows[rule["segment_key"]]
            assert f"`{rule['field']}" in rows[rule["segment_key"]]


def test_every_test_that_is_named_exists() -> None:
    tests = python_tests()
    assert set(re.findall(r"`(test_\w+)`", SEGMENTS)) <= tests.keys()
    assert len(SHORT) == 5
    for row in rows_of(ASKED):
        named = re.findall(r"\b([SCVRJ])\b(?:\[(\w+)\])?", row[-1].strip("| "))
        assert named, row
        for letter, case in named:
            assert not case or f'"{case}"' in tests[SHORT[letter]], row


def test_every_row_says_what_does_it_or_why_nothing_does(manifest: dict[str, Any]) -> None:
    marts = {node["name"] for node in manifest["nodes"].values() if node["resource_type"] in {"model", "seed"}}
    numbers = {int(query.removeprefix("-- ").split(":")[0]) for query in QUERIES}
    rows = rows_of(FROM_THE_DOCUMENTS)
    assert len(rows) > 50
    for *_, here in rows:
        text = here.strip("| ")
        named = {name.split(".")[0] for name in re.findall(r"`(\w+(?:\.\w+)?)`", text)} - {"add", "remove"}
        queries = {int(number) for number in re.findall(r"query (\d+)", text)}
        feeds = re.findall(r"`raw/", text)
        assert queries <= numbers, text
        assert named & marts or queries or feeds or "`warehouse" in text or "not built, because" in text, text
        assert named - marts <= {"organizations"}, text


@pytest.mark.parametrize("call", sorted(set(re.findall(r"`warehouse\s([^`]+)`", SEGMENTS + FROM_THE_DOCUMENTS))))
def test_every_command_exists(call: str) -> None:
    command: click.Command = main
    for word in call.split():
        if word.startswith("--"):
            assert word in {name for parameter in command.params for name in parameter.opts}, call
        elif word.islower():
            assert word in getattr(command, "commands", {}), call
            command = command.commands[word]  # type: ignore[attr-defined]


@pytest.mark.parametrize("query", QUERIES, ids=range(1, len(QUERIES) + 1))
def test_every_query_finds_something_on_a_release(published: Path, query: str) -> None:
    with release.read_release(published) as con:
        assert con.execute(query).fetchall()
