{{ config(meta={'dagster': {'ref': {'name': 'model_deciles'}}}) }}

-- Deciles are of what was predicted, highest first, and a promoted version says why.
with deciles as (

    select * from {{ ref('model_deciles') }}

),

performance as (

    select * from {{ ref('model_performance') }}

),

failures as (

    select id
    from deciles
    qualify
        decile not between 1 and 10
        or predicted_mean > lag(predicted_mean) over (
            partition by user_id, model_version, model, origin_date, horizon_days order by decile
        )

    union all

    select id
    from performance
    where customer_count < 0 or (is_promoted and promotion_reason is null)

)

select * from failures
