{#- Days → name of what is spent. -#}
{% set spends = {90: '90_days', 365: '1year', 1095: '3year', 1825: '5year'} %}

{{ config(materialized='table') }}

with closings as (

    select * from {{ ref('int_prediction_windows') }}

),

predictions as (

    select * from {{ ref('stg_predictions') }}
    where no_prediction_reason is null

),

days as (

    select
        user_id,
        customer_id,
        event_date,
        gross_amount - refund_amount as net_amount,
        false as is_purchase_day
    from {{ ref('customer_daily') }}
    where gross_amount <> 0 or refund_amount <> 0

    union all

    select distinct
        user_id,
        customer_id,
        order_date as event_date,
        0 as net_amount,
        true as is_purchase_day
    from {{ ref('orders') }}
    where not is_unmatched_refund

),

outcomes as (

    select
        closings.recording_id,
        closings.user_id,
        predictions.customer_id,
        closings.as_of_date,
        cast(closings.horizon_days as integer) as horizon_days,
        closings.churn_horizon_days,
        closings.closed_date,
        coalesce(cast(count(*) filter (where days.is_purchase_day) as integer), 0) as purchase_days,
        cast(coalesce(sum(days.net_amount), 0) as decimal(18, 4)) as spend
    from closings
    inner join predictions on closings.recording_id = predictions.recording_id
    left join days
        on
            predictions.user_id = days.user_id
            and predictions.customer_id = days.customer_id
            and closings.as_of_date < days.event_date
            and closings.closed_date >= days.event_date
    group by
        closings.recording_id,
        closings.user_id,
        predictions.customer_id,
        closings.as_of_date,
        closings.horizon_days,
        closings.churn_horizon_days,
        closings.closed_date

),

against_predictions as (

    select
        outcomes.recording_id,
        outcomes.user_id,
        outcomes.customer_id,
        outcomes.as_of_date,
        outcomes.horizon_days,
        predictions.model_version,
        case outcomes.horizon_days
            when 30 then predictions.purchase_probability_30_days
            when 90 then predictions.purchase_probability_90_days
        end as purchase_probability,
        case when outcomes.horizon_days = outcomes.churn_horizon_days then predictions.churn_probability end
            as churn_probability,
        case when outcomes.horizon_days = 90 then predictions.expected_purchases_90_days end as expected_purchases,
        {%- for end in ['', '_low', '_high'] %}
            case outcomes.horizon_days
                {%- for days, name in spends.items() %}
                    when {{ days }} then predictions.expected_spend_{{ name }}{{ end }}
                {%- endfor %}
            end as expected_spend{{ end }},
        {%- endfor %}
        outcomes.purchase_days,
        outcomes.spend,
        outcomes.closed_date
    from outcomes
    inner join predictions
        on outcomes.recording_id = predictions.recording_id and outcomes.customer_id = predictions.customer_id

)

select * from against_predictions
