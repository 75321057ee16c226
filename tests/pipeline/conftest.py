"""The folder of the data sets that the project does not ship."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --data: the folder of the data sets that the project does not ship."""
    parser.addoption("--data", type=Path, help="folder with cdnow/ and online_retail/")


@pytest.fixture(scope="session")
def data(request: pytest.FixtureRequest) -> Path:
    """Return the folder of the data sets that the project does not ship."""
    folder = request.config.getoption("--data")
    assert folder, "call `make test-data DATA=path`"
    return folder.resolve()
