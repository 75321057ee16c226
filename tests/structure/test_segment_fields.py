"""A field that rules may name is named wherever fields are: one forgotten would silently be met by nobody."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from small_warehouse import PROJECT_DIR

from orchestration.segments.catalogue import OPERATORS, read_catalogue
from orchestration.segments.lookalikes import EVENT_FIELDS, FAMILIES, JOINED, NO_RELATIVES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestration.segments.catalogue import Field

MACROS = PROJECT_DIR / "macros" / "segment_fields.sql"
TYPES_OF_LISTS = {
    "segment_number_fields": {"number", "flag"},
    "segment_text_fields": {"text"},
    "segment_date_fields": {"date"},
}
TYPES_OF_COLUMNS = {
    "number": {"double"},
    "flag": {"boolean"},
    "text": {"varchar"},
    "date": {"date"},
    "list": {"varchar[]"},
}


@pytest.fixture(scope="module")
def fields() -> Mapping[str, Field]:
    return read_catalogue(PROJECT_DIR / "seeds").fields


def _fields_of(macro: str) -> list[str]:
    """Return the names that a macro lists."""
    text = MACROS.read_text(encoding="utf-8")
    found = re.search(rf"macro {macro}\(\) -%}}(.*?)endmacro", text, re.DOTALL)
    assert found, f"{MACROS.name} has no macro {macro}"
    return re.findall(r"'(\w+)'", found.group(1))


@pytest.mark.parametrize("macro", TYPES_OF_LISTS)
def test_lists_hold_each_field_of_their_types_once(macro: str, fields: Mapping[str, Field]) -> None:
    of_types = [field.name for field in fields.values() if field.value_type in TYPES_OF_LISTS[macro]]
    assert sorted(_fields_of(macro)) == sorted(of_types)


def test_rankable_fields_are_those_of_the_catalogue(fields: Mapping[str, Field]) -> None:
    found = re.search(r"macro rankable_fields\(\) -%}(.*?)endmacro", MACROS.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    assert set(re.findall(r"'(\w+)':", found[1])) == {field.name for field in fields.values() if field.is_rankable}


def test_every_type_is_known(fields: Mapping[str, Field]) -> None:
    assert {field.value_type for field in fields.values()} == set(OPERATORS)
    # Of lists there is one, which the macros know by its name.
    assert [field.name for field in fields.values() if field.value_type == "list"] == ["tags"]
    assert {field.name for field in fields.values() if field.value_type == "event"} == set(EVENT_FIELDS)
    assert {field.name for field in fields.values() if field.value_type == "segment"} == {JOINED}
    assert {field.value_type for field in fields.values() if field.is_rankable} == {"number"}


def test_every_attribute_is_a_column_of_its_type(fields: Mapping[str, Field], manifest: dict[str, Any]) -> None:
    columns = manifest["nodes"]["model.customer_warehouse.customer_attributes"]["columns"]
    types = {name: column["data_type"].lower() for name, column in columns.items()}
    attributes = {name: field for name, field in fields.items() if field.value_type in TYPES_OF_COLUMNS}
    assert set(types) - set(attributes) == {"id", "user_id", "customer_id", "as_of_date"}
    assert [name for name, field in attributes.items() if types[name] not in TYPES_OF_COLUMNS[field.value_type]] == []


def test_every_attribute_has_relatives_or_is_said_to_have_none(fields: Mapping[str, Field]) -> None:
    attributes = {name for name, field in fields.items() if field.value_type in TYPES_OF_COLUMNS}
    named = frozenset().union(*FAMILIES.values())
    assert named <= attributes, "relatives that are no field"
    assert not named & NO_RELATIVES
    assert attributes - named == NO_RELATIVES
