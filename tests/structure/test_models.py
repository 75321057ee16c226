"""The dbt unit tests, which production leaves out: every boundary that a sentence of docs/metrics.md names."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from small_warehouse import SmallWarehouse


def test_unit_tests_of_the_models_pass(copied_warehouse: SmallWarehouse) -> None:
    results = copied_warehouse.dbt("test", "--select", "test_type:unit")
    failed = {name: result.message for name, result in results.items() if result.status != "pass"}
    assert failed == {}
    assert len(results) > 70
