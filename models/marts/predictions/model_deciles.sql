with deciles as (

    select * from {{ ref('stg_model_deciles') }}

),

described as (

    select
        {{ surrogate_uuid(['user_id', 'model_version', 'model', 'origin_date', 'horizon_days', 'decile']) }} as id,
        user_id,
        model_version,
        model,
        horizon_days,
        decile,
        n as customer_count,
        predicted_mean,
        actual_mean,
        origin_date
    from deciles

)

select * from described
