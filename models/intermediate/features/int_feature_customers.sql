{%- set largest_sample = 25000 %}

{{ config(materialized='table') }}

with activity as (

    select * from {{ ref('int_customer_activity') }}

),

customer_days as (

    select * from {{ ref('int_feature_days') }}

),

feature_dates as (

    select * from {{ ref('int_feature_dates') }}

),

buyers as (

    select
        user_id,
        customer_id,
        min(purchase_date) as first_purchase_date
    from customer_days
    group by user_id, customer_id
    having min(purchase_date) is not null

),

-- By a hash of the key: the same customers in every run, whatever the order of rows.
ranked as (

    select
        *,
        row_number() over (
            partition by user_id order by {{ surrogate_uuid(['user_id', 'customer_id']) }}, customer_id
        ) as sample_rank
    from buyers

),

feature_customers as (

    select
        ranked.user_id,
        ranked.customer_id,
        ranked.sample_rank,
        activity.first_event_date,
        ranked.first_purchase_date,
        feature_dates.feature_date,
        feature_dates.is_current
    from ranked
    inner join activity on ranked.user_id = activity.user_id and ranked.customer_id = activity.customer_id
    inner join feature_dates
        on ranked.user_id = feature_dates.user_id and ranked.first_purchase_date <= feature_dates.feature_date
    where feature_dates.is_current or ranked.sample_rank <= {{ largest_sample }}

)

select * from feature_customers
