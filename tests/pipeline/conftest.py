"""What pipeline tests share: a warehouse that nothing disturbed, and the data that the project does not ship."""

from __future__ import annotations

from pathlib import Path

import pytest
from real_warehouse import Warehouse, land_late_file, land_second_tenant

from orchestration import sample_data


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --data: the folder of the data sets that the project does not ship."""
    parser.addoption("--data", type=Path, help="folder with cdnow/ and online_retail/")


@pytest.fixture(scope="session")
def data(request: pytest.FixtureRequest) -> Path:
    """Return the folder of the data sets that the project does not ship."""
    folder = request.config.getoption("--data")
    assert folder, "call `make test-data DATA=path`"
    return folder.resolve()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Return a warehouse that got all files at once, in one run. One run; copy it before changing anything."""
    warehouse = Warehouse(tmp_path_factory.mktemp("undisturbed"))
    sample_data.write_ten_customers(warehouse.raw)
    land_second_tenant(warehouse.raw)
    land_late_file(warehouse.raw)
    warehouse.run()
    return warehouse
