{%- set windows = [30, 90, 180] %}
{%- set year_days = 365 %}

{{ config(materialized='table') }}

with customer_days as (

    select * from {{ ref('int_feature_days') }}

),

feature_customers as (

    select * from {{ ref('int_feature_customers') }}

),

days_by_date as (

    select
        customer_days.*,
        feature_customers.feature_date,
        {{ days_between('customer_days.event_date', 'feature_customers.feature_date') }} as days_ago,
        customer_days.gross_amount - customer_days.refund_amount as net_amount,
        cast(customer_days.gross_amount as decimal(19, 4)) * cast(customer_days.gross_amount as decimal(19, 4))
            as gross_amount_squared
    from feature_customers
    inner join customer_days
        on
            feature_customers.user_id = customer_days.user_id
            and feature_customers.customer_id = customer_days.customer_id
            and feature_customers.feature_date >= customer_days.event_date

),

-- Sums of whole numbers and of decimals only, so that no order of rows shows in the last digit.
measures as (

    select
        user_id,
        customer_id,
        feature_date,
        count(purchase_date) as purchase_days,
        count(gap_days) as gap_count,
        sum(order_count) as order_count,
        sum(gap_days) as gap_sum,
        sum(gap_days * gap_days) as gap_square_sum,
        max(gap_days) as max_gap_days,
        arg_max(gap_days, purchase_date) as last_gap_days,
        sum(gross_amount) as gross_amount,
        sum(discount_amount) as discount_amount,
        sum(refund_amount) as refund_amount,
        sum(net_amount) as total_spend,
        sum(gross_amount) filter (where purchase_date is not null) as spend_sum,
        sum(gross_amount_squared) filter (where purchase_date is not null) as spend_square_sum,
        arg_min(gross_amount, purchase_date) as first_spend,
        arg_max(gross_amount, purchase_date) as last_spend,
        max(gross_amount) filter (where purchase_date is not null) as max_spend,
        {%- for window in windows %}
            sum(order_count) filter (where days_ago < {{ window }}) as order_count_last_{{ window }}_days,
            sum(gross_amount) filter (where days_ago < {{ window }}) as gross_amount_last_{{ window }}_days,
        {%- endfor %}
        coalesce(sum(net_amount) filter (where days_ago < {{ year_days }}), 0) as spend_last_{{ year_days }}_days,
        min(purchase_date) as first_purchase_date,
        max(purchase_date) as last_purchase_date
    from days_by_date
    group by user_id, customer_id, feature_date

)

select * from measures
