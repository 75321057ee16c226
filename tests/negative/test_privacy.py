"""Planted personal data must reach no table that readers get (DESIGN.md D12)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from small_data import LEAKS

if TYPE_CHECKING:
    from small_warehouse import SmallWarehouse

RAW_TABLES = ("raw.events", "raw.customers", "restricted.rejected_texts")


def _relations(manifest: dict[str, Any], *, public: bool) -> list[str]:
    """Return the relations of the marts that are, or are not, published for everyone."""
    return sorted(
        f"{node['schema']}.{node['name']}"
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
        and node["fqn"][1] == "marts"
        and (node["config"]["access"] == "public") == public
    )


def _texts(warehouse: SmallWarehouse, relation: str) -> str:
    """Return every value of a relation, one after the other, in lower case."""
    rows = warehouse.query(f"select lower(columns(*)::varchar) from {relation}")
    return "\n".join(value for row in rows for value in row if value is not None)


@pytest.fixture(scope="module")
def raw_texts(built_warehouse: SmallWarehouse) -> str:
    return "\n".join(_texts(built_warehouse, table) for table in RAW_TABLES)


@pytest.fixture(scope="module")
def public_texts(built_warehouse: SmallWarehouse, manifest: dict[str, Any]) -> dict[str, str]:
    return {relation: _texts(built_warehouse, relation) for relation in _relations(manifest, public=True)}


@pytest.mark.parametrize("place", LEAKS)
def test_planted_personal_data_reaches_no_public_mart(place: str, raw_texts: str, public_texts: dict[str, str]) -> None:
    planted = LEAKS[place].lower()
    assert planted in raw_texts, "planted nowhere: this test could not fail"
    assert [relation for relation, texts in public_texts.items() if planted in texts] == []


def test_rows_with_personal_data_are_kept(built_warehouse: SmallWarehouse) -> None:
    raw = "select count(*) from raw.events where customer_id = 'jane'"
    mart = "select count(*) from marts.customer_behavior_events where customer_id = 'jane'"
    assert built_warehouse.query(raw) == built_warehouse.query(mart)


def test_what_is_not_personal_stays(built_warehouse: SmallWarehouse) -> None:
    values = _texts(built_warehouse, "marts.customer_behavior_events")
    for kept in (
        '{"email":null,"rating":5}',
        '{"buyer":{"tier":"gold","full_name":null}}',
        "write to [removed] please",
        "https://shop.example/unsubscribe/[removed]?utm_source=letter",
        "https://shop.example/call/[removed]",
        "203.0.113.0",
        "2001:db8:85a3::",
        '"latitude":52.52,"longitude":13.4',
    ):
        assert kept in values


def test_contacts_are_restricted_and_marked(built_warehouse: SmallWarehouse, manifest: dict[str, Any]) -> None:
    restricted = _relations(manifest, public=False)
    assert restricted == ["restricted.customer_contacts"]
    assert LEAKS["e-mail of a profile"] in _texts(built_warehouse, restricted[0])
    columns = manifest["nodes"]["model.customer_warehouse.customer_contacts"]["columns"]
    marked = {name for name, column in columns.items() if column["config"]["meta"].get("pii")}
    assert marked == {"email", "phone", "name", "birth_date", "latitude", "longitude"}


def test_only_the_restricted_mart_reads_contact_data(manifest: dict[str, Any]) -> None:
    contacts = "model.customer_warehouse.stg_customer_contacts"
    readers = {child.split(".")[2] for child in manifest["child_map"][contacts] if child.startswith("model.")}
    assert readers == {"customer_contacts"}
