"""A test that nobody has seen fail is not a test: each singular and generic dbt test fails on a planted violation.

Every violation is planted in a copy of a small warehouse in which all tests pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from small_warehouse import SmallWarehouse

VIOLATIONS: dict[str, list[str]] = {
    # Each statement is one violation, planted alone.
    "behavioral_analytics_adds_up_to_customer_daily": [
        "update marts.behavioral_analytics set total_events = total_events + 1 where user_id = 'shop'",
        "delete from marts.behavioral_analytics where total_events = 0",
        "delete from marts.behavioral_analytics where date = (select max(date) from marts.behavioral_analytics)",
    ],
    "behavioral_analytics_customers_add_up": [
        "update marts.behavioral_analytics set new_customers = new_customers + 1 where user_id = 'shop'",
        "update marts.behavioral_analytics set active_customers = 0",
        "update marts.behavioral_analytics set churned_customers = 1000",
        "update marts.behavioral_analytics set buyers_that_day = customers_with_event + 1",
        "update marts.behavioral_analytics set repeat_buyers_to_date = buyers_to_date + 1",
    ],
    "behavioral_analytics_ends_as_customers_stand": [
        "update marts.behavioral_analytics set active_customers = active_customers - 1",
        "update marts.behavioral_analytics set at_risk_customers = at_risk_customers + 1",
        "update marts.behavioral_analytics set buyers_to_date = buyers_to_date + 1",
        "update marts.customers set last_seen_date = null where customer_id = 'customer-03'",
    ],
    "behavioral_analytics_revenue_balances": [
        "update marts.behavioral_analytics set revenue = revenue + 0.0001 where user_id = 'shop'",
        "update marts.behavioral_analytics set total_purchases = total_purchases + 1 where user_id = 'shop'",
        "delete from marts.orders where is_unmatched_refund",
    ],
    "buyers_are_in_one_cohort_of_each_grain": [
        "delete from marts.cohort_members where customer_id = 'customer-03'",
        "insert into marts.cohort_members select * from marts.cohort_members where customer_id = 'customer-03'",
        "update marts.customer_behavior_summary set total_purchases = 0 where customer_id = 'customer-03'",
    ],
    "channel_patterns_are_valid": [
        "update seeds.channel_groups set pattern = '(unclosed' where priority = 10",
        "update seeds.channel_groups set pattern = 'a*' where priority = 10",
    ],
    "churn_bands_cover_zero_to_one": [
        "update seeds.churn_bands set upper_bound = 0.25 where scheme = 'four_band' and band = 'Low'",
        "update seeds.churn_bands set is_upper_inclusive = true where scheme = 'four_band' and band = 'Low'",
        "update seeds.churn_bands set is_upper_inclusive = false where upper_bound = 1",
        "update seeds.churn_bands set lower_bound = 0.1 where lower_bound = 0",
        "delete from seeds.churn_bands where scheme = 'four_band' and band = 'Medium'",
        "update seeds.churn_bands set sort_order = 5 - sort_order where scheme = 'four_band'",
    ],
    "churn_scores_agree": [
        "update marts.customer_churn_scores set risk_segment = 'Critical' where churn_score is not null",
        "update marts.customer_churn_scores set no_prediction_reason = null where churn_score is null",
        "update marts.customer_churn_scores set churn_score = 0.46, churn_category = 'Medium' where churn_score = 0.45",
        "update marts.customer_segments set churn_score = null",
        "update marts.customer_ltv_predictions set churn_probability = churn_probability / 2",
        "update restricted.customer_attributes set churn_probability = 0.1",
        "update restricted.customer_attributes set predicted_ltv_1year = null",
    ],
    "cohort_members_never_leave": [
        "update marts.cohort_members set left_at = joined_at where customer_id = 'customer-03'",
        "update marts.cohorts set member_count = member_count + 1",
        "delete from marts.cohort_members where customer_id = 'customer-03'",
    ],
    "cohort_retention_adds_up": [
        "update marts.cohort_retention set member_count = member_count + 1 where acquisition_channel is null",
        "update marts.cohort_retention set revenue = revenue + 1 where acquisition_channel is not null",
        "update marts.customer_behavior_summary set total_spent = total_spent + 1 where customer_id = 'customer-03'",
    ],
    "cohort_retention_is_bounded": [
        "update marts.cohort_retention set return_on_count = return_on_or_after_count + 1",
        "update marts.cohort_retention set return_on_or_after_count = member_count + 1",
        "update marts.cohort_retention set eligible_count = member_count where not is_complete",
        "update marts.cohort_retention set return_on_rate = 0 where not is_complete",
        "update marts.cohort_retention set return_on_count = 0, return_on_or_after_count = 0 where period_number = 0",
    ],
    "customer_attributes_agree_with_the_marts": [
        "update restricted.customer_attributes set order_count = order_count + 1 where customer_id = 'customer-03'",
        "update restricted.customer_attributes set rfm_segment = 'Lost' where customer_id = 'customer-00'",
        "update restricted.customer_attributes set tenure_days = tenure_days + 1 where customer_id = 'browser'",
        "update restricted.customer_attributes set favourite_category = 'pens' where customer_id = 'customer-03'",
        "delete from restricted.customer_attributes where customer_id = 'browser'",
    ],
    "customer_behavior_summary_adds_up": [
        "update marts.customer_behavior_summary set total_events = total_events + 1 where customer_id = 'browser'",
        "update marts.customer_behavior_summary set total_spent = total_spent + 1 where customer_id = 'browser'",
        "update marts.customer_behavior_summary set total_purchases = 7 where customer_id = 'browser'",
        "update marts.customer_behavior_summary set refund_amount = refund_amount + 1 where customer_id = 'browser'",
        "delete from marts.customer_behavior_summary where customer_id = 'browser'",
    ],
    "customer_daily_parts_add_up": [
        "update marts.customer_daily set night_event_count = night_event_count + 1 where customer_id = 'browser'",
        "update marts.customer_daily set first_event_at = last_event_at + interval 1 second",
    ],
    "customer_ltv_predictions_add_up": [
        "delete from marts.customer_ltv_predictions where customer_id = 'browser'",
        "update marts.customer_ltv_predictions set no_prediction_reason = null where customer_id = 'browser'",
        "update marts.customer_ltv_predictions set predicted_ltv_1year = 5 where customer_id = 'browser'",
        "update marts.customer_ltv_predictions set churn_probability = 1.5 where churn_score_source is not null",
        "update marts.customer_ltv_predictions set churn_score_source = null",
        "update marts.customer_ltv_predictions set confidence_score = -0.1 where customer_id = 'customer-06'",
        "update marts.customer_ltv_predictions set predicted_ltv_3year = 1 where predicted_ltv_1year > 1",
        "update marts.customer_ltv_predictions set predicted_ltv_5year = 1 where predicted_ltv_3year > 1",
        "update marts.customer_ltv_predictions set expected_spend_1year = 1 where predicted_ltv_1year > 1",
        """
        update marts.customer_ltv_predictions
        set expected_spend_1year = 0, expected_spend_1year_low = 1, expected_spend_1year_high = 2,
            predicted_ltv_1year = current_ltv where score_source is not null
        """,
    ],
    "customer_features_add_up": [
        "update marts.customer_features set order_count = order_count + 1 where is_current",
        "update marts.customer_features set total_spend = total_spend + 1 where is_current",
        "update marts.customer_features set last_purchase_date = date '2000-01-01' where is_current",
        "delete from marts.customer_features where is_current and customer_id = 'customer-03'",
    ],
    "customer_outcomes_tie_to_features": [
        "update marts.customer_outcomes set spend = spend + 1",
        "update marts.customer_outcomes set purchase_days = purchase_days + 1",
    ],
    "customer_profile_history_is_gapless": [
        # An overlap, a gap, a first version that does not count from the start, two current versions, none.
        "update marts.customer_profile_history set valid_to = valid_to + interval 1 day where valid_to is not null",
        "update marts.customer_profile_history set valid_from = valid_from - interval 1 day where is_current",
        "update marts.customer_profile_history set valid_from = '2020-01-01' where customer_id = 'jane'",
        "update marts.customer_profile_history set is_current = true",
        "update marts.customer_profile_history set is_current = false",
        "update marts.customer_profile_history set valid_to = valid_from where valid_from is not null",
    ],
    "customer_rfm_holds_every_buyer": [
        "delete from marts.customer_rfm where customer_id = 'customer-03'",
        "update marts.customer_rfm set customer_id = 'browser' where customer_id = 'customer-03'",
        "update marts.customer_rfm set purchase_count = purchase_count + 1",
    ],
    "customer_segments_add_up_to_customers": [
        "delete from marts.customer_segments where customer_id = 'browser'",
        "update marts.customer_segments set segment = 'Thirteenth' where customer_id = 'browser'",
        "insert into marts.customer_segments select * from marts.customer_segments where customer_id = 'browser'",
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
        "delete from marts.event_completeness where event_date = '2024-11-09'",
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
        # A row too many in the mart, one lost on the way, one that another tenant got, one that data_as_of forgot.
        "insert into marts.customer_behavior_events select * from marts.customer_behavior_events limit 1",
        "update raw.load_ledger set kept_count = kept_count + 1 where feed = 'events'",
        "update marts.customer_daily set user_id = 'shop' where user_id = 'bank' and customer_id = 'browser'",
        "update marts.data_as_of set pending_event_count = pending_event_count - 1 where user_id = 'shop'",
        "delete from marts.data_as_of where user_id = 'shop'",
    ],
    "exclusive_families_sum_to_the_tenant": [
        "update marts.behavioral_analytics set buyers_to_date = 100000 where segment_id is not null",
        "update marts.behavioral_analytics set is_additive = false where segment_id is not null",
        "update marts.behavioral_analytics set session_count = 0 where segment_id is null",
        # Families that hold as many customers as the tenant has hold all that it has.
        """
        update marts.behavioral_analytics
        set total_customers = 0, total_events = total_events + case when segment_id is null then 1000 else 0 end
        """,
    ],
    "load_ledger_adds_up": [
        "update raw.load_ledger set row_count = row_count + 1 where feed = 'events'",
        "update raw.load_ledger set rejected_count = null where feed = 'events'",
        "update raw.load_ledger set conflict_count = 1 where feed = 'events'",
    ],
    "model_records_are_sound": [
        """
        insert into marts.model_deciles by name
        select id, user_id, 'v' as model_version, 'ltv' as model, 90 as horizon_days, date '2024-01-01' as origin_date,
            decile, decile as predicted_mean
        from (select * from marts.customers limit 1), range(1, 11) as deciles (decile)
        """,
        "insert into marts.model_deciles (user_id, decile) values ('shop', 11)",
        "insert into marts.model_performance (user_id, is_promoted) values ('shop', true)",
        "insert into marts.model_performance (user_id, customer_count) values ('shop', -1)",
    ],
    "named_cohorts_have_windows": [
        "update seeds.named_cohorts set end_date = start_date - 1",
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
    "customers_are_at_risk_before_they_churn": [
        "update seeds.tenant_settings set value = '180' where setting = 'at_risk_days'",
    ],
    "no_date_is_stray": ["update marts.data_as_of set stray_from_date = '2031-01-01' where user_id = 'shop'"],
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
    "predicted_value_by_group_adds_up": [
        "update marts.predicted_value_by_group set customer_count = customer_count + 1 where group_type = 'segment'",
        "update marts.predicted_value_by_group set current_ltv = current_ltv + 1 where group_type = 'all'",
        "update marts.predicted_value_by_group set predicted_count = 0",
        "update marts.predicted_value_by_group set predicted_ltv_1year = 0",
        "update marts.predicted_value_by_group set churn_scored_count = churn_scored_count + 1",
        "update marts.predicted_value_by_group set expected_spend_1year = 1",
        "delete from marts.predicted_value_by_group where group_type = 'acquisition_channel'",
    ],
    "prediction_outcomes_are_closed": [
        # Not over, over too soon, of no tenant, more purchase days than days, bought and not, no probability.
        *(
            f"insert into marts.prediction_outcomes (user_id, as_of_date, horizon_days, closed_date, {columns}) values "
            f"('{user_id}', '{as_of_date}', 30, '{closed_date}', {values})"
            for user_id, as_of_date, closed_date, columns, values in (
                ("shop", "2024-11-01", "2024-12-01", "purchase_days", "0"),
                ("shop", "2024-03-01", "2024-03-30", "purchase_days", "0"),
                ("nobody", "2024-03-01", "2024-03-31", "purchase_days", "0"),
                ("shop", "2024-03-01", "2024-03-31", "purchase_days", "31"),
                ("shop", "2024-03-01", "2024-03-31", "purchase_days, has_purchased", "0, true"),
                ("shop", "2024-03-01", "2024-03-31", "purchase_probability", "1.01"),
                ("shop", "2024-03-01", "2024-03-31", "churn_probability", "-0.01"),
            )
        ),
    ],
    "restatements_say_what_changed": [
        # Nothing changed, the release before is the later one, an unknown cause, late events without their load,
        # late assignments of all customers.
        "insert into raw.restatements values ('b', 'a', 'shop', null, 'revenue', 'late events', 1, 5, 5, null, null)",
        "insert into raw.restatements values ('a', 'b', 'shop', null, 'revenue', 'late events', 1, 5, 6, null, null)",
        "insert into raw.restatements values ('b', 'a', 'shop', null, 'revenue', 'by chance', 1, 5, 6, null, null)",
        "insert into raw.restatements values ('b', 'a', 'x', null, 'revenue', 'late events', null, 5, 6, null, null)",
        "insert into raw.restatements values ('b', 'a', 'x', null, 'revenue', 'late assignments', 1, 5, 6, null, null)",
    ],
    "rfm_grid_is_total_and_disjoint": [
        "delete from seeds.rfm_grid where recency_score = 1 and fm_score = 1",
        "insert into seeds.rfm_grid select * from seeds.rfm_grid where recency_score = 1 and fm_score = 1",
        "update seeds.rfm_grid set fm_score = 6 where recency_score = 1 and fm_score = 1",
    ],
    "rfm_segments_are_the_twelve": [
        "update seeds.rfm_segments set segment = 'Champion' where segment = 'Champions'",
        "delete from seeds.rfm_segments where segment = 'No Purchase Yet'",
        "insert into seeds.rfm_segments (segment) values ('Thirteenth')",
    ],
    "rfm_thresholds_do_not_overlap": [
        "update marts.rfm_thresholds set lowest_value = lowest_value - 1000 where score = 3",
        "update marts.rfm_thresholds set highest_value = highest_value + 1000 where score = 3",
        "update marts.rfm_thresholds set score = 6 - score where dimension = 'monetary'",
        "update marts.rfm_thresholds set customer_count = customer_count + 1",
    ],
    "score_loads_add_up": [
        "update marts.score_loads set accepted_count = accepted_count + 1",
        "update marts.score_loads set rejected_count = rejected_count + 1",
        "update marts.score_loads set in_force_count = accepted_count + 1",
        "update marts.score_loads set received_count = received_count + 1, accepted_count = accepted_count + 1",
        "delete from marts.score_loads where feed = 'churn_scores'",
        "delete from marts.rejected_rows where rule = 'unknown_customer'",
        "update marts.rejected_rows set rule = 'other' where rule = 'unknown_customer'",
    ],
    "segment_assignment_log_states_alternate": [
        "update marts.segment_assignment_log set is_effective = true where outcome = 'no change'",
        "update marts.segment_assignment_log set action = 'remove' where customer_id = 'customer-02'",
        "delete from marts.segment_assignment_log where outcome = 'unknown tenant'",
    ],
    "segment_members_are_explained": [
        "delete from marts.segment_membership_explain where customer_id = 'customer-03'",
        "update marts.segment_membership_explain set is_met = false where customer_id = 'customer-03'",
        "update marts.segment_membership_explain set is_met = true where not is_member",
        "delete from marts.segment_members where customer_id = 'customer-03'",
    ],
    "segment_members_do_not_overlap": [
        "update marts.segment_members set left_date = joined_date, left_at = joined_at where is_current",
        "update marts.segment_members set is_current = false where customer_id = 'customer-03'",
        "update marts.segment_members set joined_date = '2099-01-01' where customer_id = 'customer-03'",
        "insert into marts.segment_members select * from marts.segment_members where customer_id = 'customer-03'",
        "update marts.segment_members set joined_date = '2001-01-01' where assignment_type = 'automatic'",
    ],
    "segment_overrides_are_disjoint": [
        "insert into seeds.segment_overrides values ('Champions', 'High', 'Low', 'Lost', 'twice')",
        "update seeds.segment_overrides set churn_band = 'Higher' where churn_band = 'High'",
        "update seeds.segment_overrides set final_segment = grid_segment where grid_segment = 'Hibernating'",
        "update seeds.segment_overrides set final_segment = 'No Purchase Yet' where grid_segment = 'Hibernating'",
    ],
    "criteria_aliases_are_unique": [
        "update seeds.criteria_fields set aliases = 'minOrders:>=' where field = 'gross_spent'",
        "update seeds.criteria_fields set aliases = 'minGross:like' where field = 'gross_spent'",
        "update seeds.criteria_fields set aliases = 'any:>=' where field = 'gross_spent'",
        "update seeds.criteria_fields set aliases = 'cities:>=' where field = 'city'",
        "update seeds.criteria_fields set is_rankable = true where field = 'city'",
    ],
    "exclusive_families_are_disjoint": [
        "update seeds.segment_rules set value = 'Champions|Lost' where segment_key = 'rfm_champions'",
        "update seeds.segment_rules set value = 'Champion' where segment_key = 'rfm_champions'",
        "update seeds.segment_rules set operator = '!=' where segment_key = 'rfm_champions'",
        "update seeds.segment_rules set field = 'city' where segment_key = 'rfm_champions'",
        "update seeds.segment_rules set rule_number = 2 where segment_key = 'rfm_champions'",
        "update seeds.segments set is_active = false where segment_key = 'rfm_no_purchase'",
        "update seeds.segments set is_exclusive = false where segment_key = 'rfm_lost'",
        "update seeds.segments set is_exclusive = true where segment_key = 'at_risk'",
    ],
    "loyalty_tiers_rise": [
        "update seeds.loyalty_tiers set points_from = 500 where loyalty_tier = 'gold'",
        "update seeds.loyalty_tiers set points_from = -1 where loyalty_tier = 'bronze'",
        "update seeds.loyalty_tiers set tier_rank = 0 where loyalty_tier = 'bronze'",
        "update seeds.loyalty_tiers set loyalty_tier = 'Gold' where loyalty_tier = 'gold'",
    ],
    "segment_event_rules_name_known_events": [
        "update seeds.segment_rules set subject = 'purchace' where field = 'event_days'",
        "update seeds.segment_rules set subject = null where field = 'event_days'",
        "update seeds.segment_rules set match_value = null where segment_key = 'vip_upsell'",
        "update seeds.segment_rules set match_key = 'colour' where match_value = 'wine'",
        "update seeds.segment_rules set match_key = 'lines' where match_value = 'wine'",
        "update seeds.segment_rules set match_value = 'Wine' where match_value = 'wine'",
        "update seeds.segment_rules set sum_property = 'quantity' where field = 'event_days'",
        "update seeds.segment_rules set field = 'event_sum', sum_property = 'order_id' where field = 'event_days'",
        "update seeds.segment_rules set first_day = null where field = 'event_days'",
        "update seeds.segment_rules set last_day = first_day - 1 where field = 'event_days'",
        "update seeds.segment_rules set last_day = 30 where segment_key = 'at_risk'",
        "update seeds.segment_rules set subject = 'purchase' where segment_key = 'at_risk'",
        "update seeds.segment_rules set subject = null where segment_key = 'became_at_risk'",
    ],
    "segment_rules_fit_their_fields": [
        "update seeds.segment_rules set field = 'days_since' where segment_key = 'at_risk'",
        "update seeds.segment_rules set operator = 'contains' where segment_key = 'at_risk'",
        "update seeds.segment_rules set operator = 'top_percent' where segment_key = 'at_risk'",
        "update seeds.segment_rules set operator = 'is_null' where segment_key = 'at_risk'",
        "update seeds.segment_rules set value = null where segment_key = 'at_risk'",
        "update seeds.segment_rules set value = 'sixty' where segment_key = 'at_risk'",
        "update seeds.segment_rules set value = 'nan' where segment_key = 'at_risk'",
        "update seeds.segment_rules set value = '60|70' where segment_key = 'at_risk'",
        "update seeds.segment_rules set value = '45' where segment_key = 'about_to_lapse'",
        "update seeds.segment_rules set value = '59|45' where segment_key = 'about_to_lapse'",
        "update seeds.segment_rules set value = '2024-12-31|2024-10-01' where segment_key = 'q4_2024'",
        "update seeds.segment_rules set value = '2024-10-01|2024-12-32' where segment_key = 'q4_2024'",
        "update seeds.segment_rules set value = '0' where segment_key = 'vip_customers'",
        "update seeds.segment_rules set value = '101' where segment_key = 'vip_customers'",
        "update seeds.segment_rules set value = 'yes' where segment_key = 'email_subscribers'",
        "update seeds.segment_rules set value = '-1' where segment_key = 'birthday_this_month'",
        "update seeds.segment_rules set value = 'gold|' where segment_key = 'vip_upsell' and field = 'loyalty_tier'",
    ],
    "segments_derive_from_plain_segments": [
        "update seeds.segment_rules set subject = 'at_rask' where segment_key = 'became_at_risk'",
        "update seeds.segment_rules set subject = 'just_reached_vip' where segment_key = 'became_at_risk'",
        "update seeds.segment_rules set subject = 'vip_by_hand' where segment_key = 'became_at_risk'",
        "update seeds.segments set is_active = false where segment_key = 'at_risk'",
        "update seeds.segments set user_id = 'shop' where segment_key = 'at_risk'",
        "update seeds.segment_rules set segment_key = 'became_at_risk', rule_number = 2 where segment_key = 'at_risk'",
    ],
    "segments_have_their_rules": [
        "delete from seeds.segment_rules where segment_key = 'at_risk'",
        "delete from seeds.segments where segment_key = 'at_risk'",
        "update seeds.segment_rules set since = '2001-01-01' where segment_key = 'at_risk'",
        "update seeds.segment_rules set segment_key = 'vip_by_hand' where segment_key = 'at_risk'",
        "update seeds.segment_rules set group_number = 2 where segment_key = 'at_risk'",
        "update seeds.segment_rules set group_number = 4 where segment_key = 'health_conscious' and group_number = 2",
        "update seeds.segment_rules set rule_number = 2 where segment_key = 'at_risk'",
        "delete from seeds.segment_rules where segment_key = 'win_back' and rule_number = 2",
        (
            "insert into seeds.segment_rules select segment_rules.* replace (number as rule_number) "
            "from seeds.segment_rules, range(2, 22) as numbers (number) where segment_key = 'at_risk'"
        ),
    ],
    "segments_keep_their_identity": [
        (
            "insert into seeds.segments select * replace ('shop' as user_id, date '2024-01-01' as since) "
            "from seeds.segments where segment_key = 'lapsed'"
        ),
        (
            "insert into seeds.segments select * replace (false as is_automatic, date '2024-01-01' as since) "
            "from seeds.segments where segment_key = 'lapsed'"
        ),
        "update seeds.segments set segment_key = 'At-Risk' where segment_key = 'at_risk'",
        "update seeds.segments set name = 'LAPSED', user_id = 'shop' where segment_key = 'at_risk'",
    ],
    "segment_distribution_adds_up": [
        "delete from marts.segment_distribution where count = 0",
        "update marts.segment_distribution set count = count + 1 where segment = 'Champions'",
        "update marts.segment_distribution set total_customers = total_customers + 1 where segment = 'Champions'",
        "update marts.segment_distribution set percentage = percentage + 1 where segment = 'Champions'",
    ],
    "segment_kpis_add_up": [
        "update marts.segment_kpis set membership_count = membership_count + 1",
        "update marts.segment_kpis set distinct_member_count = distinct_member_count - 1 where user_id = 'shop'",
        "update marts.segment_kpis set segments_with_members_count = segments_with_members_count + 1",
        "update marts.segment_kpis set active_segment_count = 0",
        "delete from marts.segment_kpis where user_id = 'shop'",
    ],
    "segment_overlap_is_bounded": [
        "update marts.segment_overlap set both_count = member_count_a + 1",
        "update marts.segment_overlap set member_count_b = member_count_b + 1",
        "update marts.segment_overlap set customer_count = 0",
        "update marts.segment_overlap set jaccard = 1",
        "delete from marts.segment_overlap where segment_a = (select min(segment_a) from marts.segment_overlap)",
    ],
    "segment_performance_adds_up": [
        "update marts.segment_performance set member_count = member_count + 1",
        "update marts.segment_performance set active_members = active_members - 1",
        "update marts.segment_performance set net_to_date = net_to_date + 1",
        "update marts.segment_performance set churn_rate = 1.5",
        "update marts.segment_performance set engagement_score = 101",
        "update marts.segment_performance set revenue_generated = revenue_generated + 0.0001",
        "update marts.behavioral_analytics set total_purchases = total_purchases + 1 where segment_id is not null",
        "delete from marts.segment_performance where date = (select max(date) from marts.segment_performance)",
    ],
    "segment_sizes_add_up": [
        # A wrong stock, a cause too many, a date that is missing at either end, a retired segment that has members.
        "update marts.segment_size_daily set member_count = member_count + 1",
        "update marts.segment_size_daily set joined_count = joined_count + 1, joined_by_data = joined_by_data + 1",
        "update marts.segment_size_daily set joined_by_data = joined_by_data + 1",
        "update marts.segment_size_daily set left_by_assignment = left_by_assignment + 1",
        "delete from marts.segment_size_daily where date = (select max(date) from marts.segment_size_daily)",
        "delete from marts.segment_size_daily where date = (select min(date) from marts.segment_size_daily)",
        "update marts.segment_size_daily set is_active = false",
    ],
    "segment_transitions_tie_to_sizes": [
        """
        insert into marts.segment_transitions by name
        select id, user_id, segment_id as to_segment_id, family, segment_key as to_segment, 1 as customer_count, date
        from marts.segment_size_daily where is_exclusive limit 1
        """,
        """
        insert into marts.segment_transitions by name
        select
            id, user_id, segment_id as from_segment_id, segment_id as to_segment_id, family,
            segment_key as from_segment, segment_key as to_segment, 0 as customer_count, date
        from marts.segment_size_daily where is_exclusive limit 1
        """,
        "update marts.segment_size_daily set left_count = left_count + 1 where is_exclusive",
    ],
    "sessions_hold_every_behavioral_event": [
        "update intermediate.int_sessions set event_count = event_count + 1 where customer_id = 'browser'",
        "delete from intermediate.int_sessions where session_date = (select max(session_date) from marts.sessions)",
        "update seeds.event_types set is_behavioral = false where event_type = 'purchase'",
    ],
    "top_at_risk_is_ranked": [
        "update marts.top_at_risk set churn_rank = 100 - churn_rank",
        "update marts.top_at_risk set value_at_risk_rank = 100 - value_at_risk_rank",
        "delete from marts.top_at_risk",
        "delete from marts.top_at_risk where churn_rank = 1",
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

GENERIC_TESTS = {
    "foreign_key_customer_behavior_summary_*": "delete from marts.customers where customer_id = 'customer-03'",
    "unique_key_orders_id": "insert into marts.orders select * from marts.orders limit 1",
    "unique_key_customers_id": "update marts.customers set id = null where customer_id = 'jane'",
    "unique_key_sessions_id__session_date": (
        "insert into intermediate.int_sessions select * from intermediate.int_sessions limit 1"
    ),
}


def test_all_pass_where_nothing_is_wrong(built_warehouse: SmallWarehouse) -> None:
    assert built_warehouse.failing_tests("--exclude-resource-type", "unit_test") == {}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_singular_test_notices_its_violations(name: str, copied_warehouse: SmallWarehouse) -> None:
    """The first violation is tested by dbt, the others by the SQL that dbt compiled: 0.3 s less for each."""
    first, *others = VIOLATIONS[name]
    pristine = copied_warehouse.copy_to(copied_warehouse.home / "pristine")
    copied_warehouse.execute(first)
    results = copied_warehouse.dbt("test", "--select", name)
    noticed = results[name].node.config.severity.lower().replace("error", "fail")
    assert {test: result.status for test, result in results.items()} == {name: noticed}, first
    with pristine.connect() as con:
        for violation in others:
            con.execute("begin")
            con.execute(violation)
            assert con.execute(results[name].node.compiled_code).fetchall(), violation
            con.execute("rollback")


@pytest.mark.parametrize("pattern", GENERIC_TESTS)
def test_generic_test_notices_a_violation(pattern: str, copied_warehouse: SmallWarehouse) -> None:
    copied_warehouse.execute(GENERIC_TESTS[pattern])
    assert list(copied_warehouse.failing_tests("--select", pattern).values()) == ["fail"]


def test_event_level_tests_read_recomputed_dates_by_day_and_all_by_the_week(copied_warehouse: SmallWarehouse) -> None:
    name = "unique_key_customer_behavior_events_id__event_date"
    copied_warehouse.execute(
        "insert into marts.customer_behavior_events select * from marts.customer_behavior_events limit 1",
        "delete from intermediate.int_touched_dates",
    )
    assert copied_warehouse.failing_tests("--select", name) == {}
    assert copied_warehouse.failing_tests("--select", name, "--vars", "{test_all_history: true}") == {name: "fail"}
