"""What pipeline tests share: a warehouse that nothing disturbed."""

from __future__ import annotations

import pytest
from real_warehouse import Warehouse, land_late_file, land_second_tenant

from orchestration import sample_data


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Return a warehouse that got all files at once, in one run. One run; copy it before changing anything."""
    warehouse = Warehouse(tmp_path_factory.mktemp("undisturbed"))
    sample_data.write_ten_customers(warehouse.raw)
    land_second_tenant(warehouse.raw)
    land_late_file(warehouse.raw)
    warehouse.run()
    return warehouse
