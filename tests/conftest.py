"""What several rooms share: the parsed project, one small built warehouse, the data that is not ours to ship."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from small_data import fill
from small_warehouse import SmallWarehouse, parse_project

from orchestration import release

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

LONG_FILES = (
    "test_histories.py",
    "test_runs.py",
    "test_customer_segmentation.py",
    "test_restatements.py",
    "test_models.py",
    "test_uploaded_scores.py",
    "test_operations.py",
    "test_singular_tests.py",
    "test_release.py",
)
"""What takes longest, longest first; by `make test` with --durations=30."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --data: the folder of the data sets that the project does not ship."""
    parser.addoption("--data", type=Path, help="folder with cdnow/ and online_retail/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files: a worker that comes to one last keeps all waiting."""
    rank = {name: place for place, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


@pytest.fixture(scope="session")
def data(request: pytest.FixtureRequest) -> Path:
    """Return the folder of the data sets that the project does not ship."""
    folder = request.config.getoption("--data")
    assert folder, "call `make test-data DATA=path`"
    return folder.resolve()


@pytest.fixture(scope="session")
def dbt_manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Return the parsed project as dbt's own object."""
    return parse_project(tmp_path_factory.mktemp("parse"))


@pytest.fixture(scope="session")
def manifest(dbt_manifest: Manifest) -> dict[str, Any]:
    """Return the parsed project as `target/manifest.json` has it."""
    return dbt_manifest.writable_manifest().to_dict(omit_none=False)


@pytest.fixture(scope="session")
def built_warehouse(dbt_manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> SmallWarehouse:
    """Return a warehouse built from `small_data`; copy it before changing anything."""
    warehouse = SmallWarehouse(tmp_path_factory.mktemp("built"), dbt_manifest).create()
    fill(warehouse)
    warehouse.build()
    return warehouse


@pytest.fixture(scope="session")
def published(
    built_warehouse: SmallWarehouse, manifest: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return the home of a small published release."""
    warehouse = built_warehouse.copy_to(tmp_path_factory.mktemp("published"))
    release.publish(
        warehouse.database,
        warehouse.home,
        manifest,
        run_id="run",
        published_at=datetime(2024, 11, 11, tzinfo=UTC),
        code_checksum="code",
    )
    return warehouse.home


@pytest.fixture
def copied_warehouse(built_warehouse: SmallWarehouse, tmp_path: Path) -> SmallWarehouse:
    """Return a copy of the built warehouse that the test may spoil."""
    return built_warehouse.copy_to(tmp_path)
