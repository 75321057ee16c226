"""A test that nobody has seen fail is not a test: each singular and generic dbt test fails on a planted violation.

Every violation is planted in a copy of a small warehouse in which all tests pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from small_warehouse import PROJECT_DIR

if TYPE_CHECKING:
    from small_warehouse import SmallWarehouse

VIOLATIONS: dict[str, list[str]] = {
    # What it says → SQL that breaks it, one violation per statement: each alone must be noticed.
    "channel_patterns_are_valid": [
        "update seeds.channel_groups set pattern = '(unclosed' where priority = 10",
        "update seeds.channel_groups set pattern = 'a*' where priority = 10",
    ],
    "customer_daily_parts_add_up": [
        "update marts.customer_daily set night_event_count = night_event_count + 1 where customer_id = 'browser'",
        "update marts.customer_daily set first_event_at = last_event_at + interval 1 second",
    ],
    "customer_profile_history_is_gapless": [
        # An overlap, a gap, a first version that does not count from the start, two current versions, none.
        "update marts.customer_profile_history set valid_to = valid_to + interval 1 day where valid_to is not null",
        "update marts.customer_profile_history set valid_from = valid_from + interval 1 day where valid_from is not null",
        "update marts.customer_profile_history set valid_from = '2020-01-01' where customer_id = 'jane'",
        "update marts.customer_profile_history set is_current = true",
        "update marts.customer_profile_history set is_current = false",
        "update marts.customer_profile_history set valid_to = valid_from where valid_from is not null",
    ],
    "customers_hold_every_active_customer": [
        "delete from marts.customers where customer_id = 'browser'",
        "update marts.customers set event_count = event_count + 1 where customer_id = 'browser'",
    ],
    "event_categories_are_canonical": [
        "update seeds.event_categories set event_category = 'mobile' where alias = 'app'",
        "update seeds.event_categories set alias = 'App' where alias = 'app'",
    ],
    "event_completeness_adds_up": [
        "delete from marts.event_completeness where column_name = 'session_id' and event_type = 'purchase'",
        "update marts.event_completeness set filled_count = event_count + 1 where column_name = 'browser'",
        "delete from marts.event_completeness where event_date = (select max(event_date) from marts.event_completeness)",
    ],
    "event_properties_name_known_types": [
        "update seeds.event_properties set event_types = 'purchase|purchace' where property = 'quantity'",
    ],
    "event_type_aliases_are_unique": [
        "update seeds.event_types set aliases = 'shared|page_view' where event_type = 'share'",
        "update seeds.event_types set aliases = 'logged_in' where event_type = 'logout'",
        "update seeds.event_types set aliases = 'Logged_Out' where event_type = 'logout'",
    ],
    "events_are_counted_once": [
        # A row too many in the mart, one lost on the way to it, one that another tenant got, one that data_as_of forgot.
        "insert into marts.customer_behavior_events select * from marts.customer_behavior_events limit 1",
        "update raw.load_ledger set kept_count = kept_count + 1 where feed = 'events'",
        "update marts.customer_daily set user_id = 'shop' where user_id = 'bank' and customer_id = 'browser'",
        "update marts.data_as_of set pending_event_count = pending_event_count - 1 where user_id = 'shop'",
        "delete from marts.data_as_of where user_id = 'shop'",
    ],
    "load_ledger_adds_up": [
        "update raw.load_ledger set row_count = row_count + 1 where feed = 'events'",
        "update raw.load_ledger set rejected_count = null where feed = 'events'",
        "update raw.load_ledger set conflict_count = 1 where feed = 'events'",
    ],
    "order_lines_add_up_to_customer_daily": [
        "update marts.order_lines set gross_amount = gross_amount + 0.0001 where customer_id = 'customer-03'",
        "update marts.customer_daily set discount_amount = 1 where customer_id = 'customer-03'",
        "delete from marts.order_lines where customer_id = 'customer-03'",
    ],
    "order_lines_add_up_to_purchases": [
        "delete from marts.order_lines where line_number = 0",
        "delete from marts.order_lines where event_id = (select min(event_id) from marts.order_lines)",
        "update marts.order_lines set event_id = '00000000-0000-0000-0000-000000000000' where line_number = 0",
    ],
    "orders_add_up_to_customer_daily": [
        "delete from marts.orders where is_unmatched_refund",
        "update marts.orders set net_amount = net_amount + 1 where customer_id = 'customer-03'",
        "update marts.customer_daily set refund_amount = 1 where customer_id = 'browser'",
    ],
    "orders_balance": [
        "update marts.orders set net_amount = net_amount + 0.0001 where customer_id = 'customer-03'",
        "update marts.orders set list_amount = list_amount + 1 where customer_id = 'customer-03'",
        "update marts.orders set refund_amount = -1, net_amount = gross_amount + 1 where customer_id = 'customer-00'",
        "update marts.orders set order_number = 1 where is_unmatched_refund",
        "update marts.orders set line_count = 1 where is_unmatched_refund",
    ],
    "pii_keys_are_plain_words": [
        "update seeds.pii_keys set key = 'e-mail' where key = 'e_mail'",
        "update seeds.pii_keys set key = 'Email' where key = 'email'",
    ],
    "sessions_hold_every_behavioral_event": [
        "update marts.sessions set event_count = event_count + 1 where customer_id = 'browser'",
        "delete from marts.sessions where session_date = (select max(session_date) from marts.sessions)",
        "update seeds.event_types set is_behavioral = false where event_type = 'purchase'",
    ],
    "tenant_settings_are_typed": [
        "update seeds.tenant_settings set value = 'four' where setting = 'session_cut_hour'",
        "update seeds.tenant_settings set value = '24' where setting = 'session_cut_hour'",
        "update seeds.tenant_settings set value = '3.5' where setting = 'session_cut_hour'",
        "update seeds.tenant_settings set value = null where setting = 'session_cut_hour'",
        "update seeds.tenant_settings set setting = 'session_cut' where setting = 'session_cut_hour'",
        "delete from seeds.tenant_settings where setting = 'rfm_window_days'",
    ],
}

UNIQUE_KEYS = {
    "unique_key_orders_id": "insert into marts.orders select * from marts.orders limit 1",
    "unique_key_customers_id": "update marts.customers set id = null where customer_id = 'jane'",
    "unique_key_sessions_id__session_date": "insert into marts.sessions select * from marts.sessions limit 1",
}


def singular_tests() -> list[str]:
    """Return the names of all singular tests of the project."""
    return sorted(path.stem for path in (PROJECT_DIR / "tests" / "dbt").glob("*.sql"))


def test_every_singular_test_has_a_violation() -> None:
    assert sorted(VIOLATIONS) == singular_tests()


def test_all_pass_where_nothing_is_wrong(built_warehouse: SmallWarehouse) -> None:
    assert built_warehouse.failing_tests("--exclude-resource-type", "unit_test") == {}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_singular_test_notices_its_violations(name: str, built_warehouse: SmallWarehouse, tmp_path: Any) -> None:  # noqa: ANN401 - a Path
    for number, violation in enumerate(VIOLATIONS[name]):
        spoiled = built_warehouse.copy_to(tmp_path / str(number))
        spoiled.execute(violation)
        assert spoiled.failing_tests("--select", name) == {name: "fail"}, violation


@pytest.mark.parametrize("name", UNIQUE_KEYS)
def test_unique_key_notices_a_broken_key(name: str, copied_warehouse: SmallWarehouse) -> None:
    copied_warehouse.execute(UNIQUE_KEYS[name])
    assert copied_warehouse.failing_tests("--select", name) == {name: "fail"}


def test_event_level_tests_read_recomputed_dates_by_day_and_all_by_the_week(copied_warehouse: SmallWarehouse) -> None:
    name = "unique_key_customer_behavior_events_id__event_date"
    copied_warehouse.execute(
        "insert into marts.customer_behavior_events select * from marts.customer_behavior_events limit 1",
        "delete from intermediate.int_touched_dates",
    )
    assert copied_warehouse.failing_tests("--select", name) == {}
    assert copied_warehouse.failing_tests("--select", name, "--vars", "{test_all_history: true}") == {name: "fail"}
