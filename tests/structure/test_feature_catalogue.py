"""The catalogue of features speaks of every column of customer_features, and of nothing else."""

from __future__ import annotations

import csv
from typing import Any

import pytest
from small_warehouse import PROJECT_DIR

from ml import features

CATALOGUE = PROJECT_DIR / "seeds" / "features" / "feature_catalogue.csv"


@pytest.fixture(scope="module")
def catalogue() -> dict[str, dict[str, str]]:
    with CATALOGUE.open(encoding="utf-8", newline="") as file:
        return {row["feature"]: row for row in csv.DictReader(file)}


def test_the_catalogue_has_every_column_and_no_other(
    manifest: dict[str, Any], catalogue: dict[str, dict[str, str]]
) -> None:
    """The contract makes the described columns those of the table."""
    described = manifest["nodes"]["model.customer_warehouse.customer_features"]["columns"]
    assert list(catalogue) == list(described)


def test_what_null_means_is_said_where_it_is_allowed(
    manifest: dict[str, Any], catalogue: dict[str, dict[str, str]]
) -> None:
    tests = [node for node in manifest["nodes"].values() if node["resource_type"] == "test"]
    never_null = {
        node["column_name"]
        for node in tests
        if node.get("attached_node") == "model.customer_warehouse.customer_features"
        and (node.get("test_metadata") or {}).get("name") == "not_null"
    }
    assert {name for name, row in catalogue.items() if not row["null_meaning"]} == never_null


def test_models_learn_from_columns_of_the_catalogue(catalogue: dict[str, dict[str, str]]) -> None:
    assert set(catalogue) >= features.READ
