"""Planted personal data must reach no table that readers get (DESIGN.md D12)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from small_data import LEAKS

if TYPE_CHECKING:
    from small_warehouse import SmallWarehouse

RAW_TABLES = (
    "raw.events",
    "raw.customers",
    "raw.segment_assignments",
    "raw.churn_scores",
    "raw.rejected_rows",
    "restricted.rejected_texts",
)


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


PERSONAL = {
    "restricted.customer_attributes": {"age", "birth_date", "distance_km"},
    "restricted.customer_contacts": {"email", "phone", "name", "birth_date", "latitude", "longitude"},
}
"""Columns that no public mart may have, by the restricted mart that has them."""


def test_contacts_are_restricted_and_marked(built_warehouse: SmallWarehouse, manifest: dict[str, Any]) -> None:
    assert _relations(manifest, public=False) == list(PERSONAL)
    assert LEAKS["e-mail of a profile"] in _texts(built_warehouse, "restricted.customer_contacts")
    for relation, personal in PERSONAL.items():
        columns = manifest["nodes"][f"model.customer_warehouse.{relation.split('.')[1]}"]["columns"]
        marked = {name for name, column in columns.items() if column["config"]["meta"].get("pii")}
        assert marked == personal


def test_attributes_hold_no_contacts(built_warehouse: SmallWarehouse) -> None:
    values = _texts(built_warehouse, "restricted.customer_attributes")
    assert LEAKS["birth date of a profile"] in values
    contacts = [place for place in LEAKS if place != "birth date of a profile"]
    assert [place for place in contacts if LEAKS[place].lower() in values] == []


def test_explanations_withhold_personal_values(built_warehouse: SmallWarehouse) -> None:
    """Who has birthday soon and lives near is told so, but not when and where."""
    told = built_warehouse.query(
        """
        select clause, value, threshold, is_met from marts.segment_membership_explain
        where customer_id = 'jane' and segment_key in ('birthday_this_month', 'neighbours')
        order by clause
        """
    )
    assert told == [
        ("birth_date anniversary_within_days 30", "withheld", "30", True),
        ("distance_km <= 5", "withheld", "5", True),
    ]
    fields = "select field from seeds.criteria_fields where is_restricted"
    assert {field for (field,) in built_warehouse.query(fields)} == PERSONAL["restricted.customer_attributes"]
    of_fields = f"select count(*) from marts.segment_membership_explain where split_part(clause, ' ', 1) in ({fields})"
    assert built_warehouse.query(f"{of_fields} and value is distinct from 'withheld'") == [(0,)]


def test_only_the_restricted_mart_reads_contact_data(manifest: dict[str, Any]) -> None:
    contacts = "model.customer_warehouse.stg_customer_contacts"
    readers = {child.split(".")[2] for child in manifest["child_map"][contacts] if child.startswith("model.")}
    assert readers == {"customer_contacts"}


def test_no_public_mart_says_how_far_somebody_lives(built_warehouse: SmallWarehouse, manifest: dict[str, Any]) -> None:
    """A few distances from known places are a place: of profiles, they stay within."""
    assert built_warehouse.query("select count(distance_km) from intermediate.int_customer_profiles") == [(1,)]
    public = _relations(manifest, public=True)
    columns = {
        f"{node['schema']}.{node['name']}.{column}"
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and f"{node['schema']}.{node['name']}" in public
        for column in node["columns"]
    }
    personal = {"age", "birth_date", "email", "phone"}
    assert [name for name in columns if "distance" in name or name.split(".")[2] in personal] == []
