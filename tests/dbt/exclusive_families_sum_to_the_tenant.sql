{{ config(meta={'dagster': {'ref': {'name': 'behavioral_analytics'}}}) }}

-- The segments of an exclusive family never count more than the tenant, but for customers without an event: from when
-- these are known a segment reads from the profile of the date, the tenant from that of the as-of date. On a date on
-- which they hold all the tenant's customers, everything that is counted of customers adds up to the tenant's; sessions
-- do but for those of the small hours before a customer's first date.
{% set additive = [
    'total_customers', 'new_customers', 'active_customers', 'at_risk_customers', 'churned_customers',
    'total_page_views', 'total_product_views', 'total_add_to_cart', 'total_purchases', 'customers_without_event',
    'customers_with_event', 'buyers_that_day', 'buyers_to_date', 'repeat_buyers_to_date', 'newly_churned_customers',
    'total_events', 'gross_amount', 'refund_amount'
] %}
{% set bounded = additive | reject('in', ['total_customers', 'customers_without_event']) | list
    + ['session_count', 'engaged_session_count', 'session_seconds'] %}

with analytics as (

    select * from {{ ref('behavioral_analytics') }}

),

days as (

    select * from {{ ref('int_segment_days') }}
    where is_active and is_exclusive

),

tenants as (

    select * from analytics
    where segment_id is null

),

families as (

    select
        analytics.user_id,
        days.family,
        analytics.date,
        {%- for column in (additive + bounded) | unique %}
            sum(analytics.{{ column }}) as {{ column }},
        {%- endfor %}
        bool_and(analytics.is_additive) as is_additive
    from analytics
    inner join days
        on
            analytics.user_id = days.user_id
            and analytics.segment_id = days.segment_id
            and analytics.date = days.date
    group by analytics.user_id, days.family, analytics.date

),

failures as (

    select
        families.user_id,
        families.family,
        families.date
    from families
    inner join tenants on families.user_id = tenants.user_id and families.date = tenants.date
    where
        not families.is_additive
        {%- for column in bounded %}
            or families.{{ column }} > tenants.{{ column }}
        {%- endfor %}
        or (
            families.total_customers = tenants.total_customers
            and (
                {%- for column in additive %}
                    {{ 'or ' if not loop.first }}families.{{ column }} <> tenants.{{ column }}
                {%- endfor %}
            )
        )

)

select * from failures
