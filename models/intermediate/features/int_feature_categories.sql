{{ config(materialized='table') }}

with order_lines as (

    select * from {{ ref('order_lines') }}

),

feature_customers as (

    select * from {{ ref('int_feature_customers') }}

),

lines_by_category as (

    select
        feature_customers.user_id,
        feature_customers.customer_id,
        feature_customers.feature_date,
        order_lines.product_category,
        count(*) as line_count
    from feature_customers
    inner join order_lines
        on
            feature_customers.user_id = order_lines.user_id
            and feature_customers.customer_id = order_lines.customer_id
            and feature_customers.feature_date >= order_lines.event_date
    where order_lines.product_category is not null
    group by
        feature_customers.user_id, feature_customers.customer_id,
        feature_customers.feature_date, order_lines.product_category

),

shares as (

    select
        *,
        line_count / sum(line_count) over (partition by user_id, customer_id, feature_date) as line_share
    from lines_by_category

),

-- Rounded: the last digit of a sum hangs on the order of its terms.
entropies as (

    select
        user_id,
        customer_id,
        feature_date,
        round(abs(sum(line_share * ln(line_share))), 9) as category_entropy
    from shares
    group by user_id, customer_id, feature_date

)

select * from entropies
