{{ config(meta={'published_by': 'as_of_date', 'published_when': 'changed'}) }}

with clock as (

    select * from {{ ref('int_tenant_clock') }}

),

recorded as (

    select * from {{ ref('stg_prediction_outcomes') }}

),

closings as (

    select * from {{ ref('int_prediction_closings') }}

),

known as (

    select * from recorded
    union all by name
    select * from closings

),

outcomes as (

    select
        {{ surrogate_uuid([
            'known.user_id', 'known.customer_id', 'known.as_of_date', 'known.horizon_days', 'known.recording_id'
        ]) }} as id,
        known.user_id,
        known.customer_id,
        known.model_version,
        known.recording_id,
        known.horizon_days,
        known.purchase_probability,
        known.churn_probability,
        known.expected_purchases,
        known.expected_spend,
        known.expected_spend_low,
        known.expected_spend_high,
        known.purchase_days,
        known.spend,
        known.purchase_days > 0 as has_purchased,
        known.spend between known.expected_spend_low and known.expected_spend_high as is_within_interval,
        known.as_of_date,
        known.closed_date
    from known
    inner join clock on known.user_id = clock.user_id and known.closed_date <= clock.as_of_date

)

select * from outcomes
