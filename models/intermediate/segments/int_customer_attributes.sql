{#- Column: a running total that is no rate and needs no other name. -#}
{% set as_they_are = [
    'visits_last_30_days', 'visits_last_180_days', 'orders_last_30_days', 'orders_previous_30_days',
    'active_days_last_30_days', 'page_view_count', 'product_view_count', 'product_views_last_90_days',
    'add_to_cart_count', 'email_sent_count', 'email_open_count', 'email_click_count', 'email_opens_last_90_days',
    'review_count', 'positive_review_count', 'share_count', 'social_click_count', 'referral_sent_count',
    'referral_converted_count'
] %}
{% set day_parts = ['morning', 'lunch', 'afternoon', 'dinner', 'night', 'weekend'] %}

with states as (

    select
        {%- for field, expression in rankable_fields().items() %}
            {{ expression }} as {{ field }},
        {%- endfor %}
        * replace (coalesce(orders, 0) as orders)
    from {{ ref('int_customer_states') }}

),

attributes as (

    select
        user_id,
        customer_id,
        customer_number,
        state_date,
        until_date,
        as_of_date,
        {{ days_between('last_order_date', 'state_date') }} as days_since_last_order,
        {{ days_between('first_order_date', 'state_date') }} as days_since_first_order,
        {{ days_between('last_event_date', 'state_date') }} as days_since_last_event,
        {{ days_between('first_seen_date', 'state_date') }} as tenure_days,
        orders as order_count,
        coalesce(visit_count, 0) as visit_count,
        {%- for column in as_they_are %}
            coalesce({{ column }}, 0) as {{ column }},
        {%- endfor %}
        {{ orders_per_month('orders', 'first_order_date', 'state_date') }} as orders_per_month,
        case when orders >= 2 then {{ days_between('first_order_date', 'last_order_date') }} / (orders - 1) end
            as purchase_frequency_days,
        coalesce(total_spent, 0) as total_spent,
        coalesce(gross_spent, 0) as gross_spent,
        avg_order_value,
        first_order_value,
        {{ days_between('first_order_date', 'last_order_date') }} as order_span_days,
        discounted_orders / nullif(orders, 0) as discounted_order_share,
        {%- for part in day_parts %}
            {{ part }}_orders / nullif(orders, 0) as {{ part }}_order_share,
        {%- endfor %}
        top_category_order_share,
        top_brand_order_share,
        greatest(quarter_1_orders, quarter_2_orders, quarter_3_orders, quarter_4_orders) / nullif(orders, 0)
            as busiest_quarter_order_share,
        coalesce(event_count, 0) as event_count_to_date,
        email_open_count / nullif(email_sent_count, 0) as email_open_rate,
        {{ age_in_years('birth_date', 'state_date') }} as age,
        distance_km,
        loyalty_points,
        next_points_from - loyalty_points as points_to_next_tier,
        recency_score,
        frequency_score,
        monetary_score,
        fm_score,
        churn_probability,
        predicted_ltv_1year,
        email_opt_in,
        sms_opt_in,
        is_vip,
        loyalty_tier is not null as is_loyalty_member,
        coalesce(loyalty_points >= next_points_from, false) as is_tier_upgrade_eligible,
        follows_on_social,
        known_at is not null as has_profile,
        gender,
        country,
        city,
        loyalty_tier,
        favourite_category,
        favourite_brand,
        preferred_channel,
        dietary_preference,
        strftime(first_order_date, '%Y-%m') as acquisition_cohort,
        coalesce(rfm_segment, 'No Purchase Yet') as rfm_segment,
        cast(null as varchar) as journey_stage,
        birth_date,
        signup_date,
        first_order_date,
        last_order_date,
        -- Lower case only once read: of \u00DC, lower case is \u00dc, the same letter.
        list_transform(cast(cast(tags as json) as varchar[]), lambda tag: lower(tag)) as tags
    from states

)

select * from attributes
