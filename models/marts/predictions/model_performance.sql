with metrics as (

    select * from {{ ref('stg_model_metrics') }}

),

versions as (

    select * from {{ ref('stg_model_versions') }}

),

measured as (

    select
        {{ surrogate_uuid([
            'metrics.user_id', 'metrics.model_version', 'metrics.model', 'metrics.candidate', 'metrics.origin_date',
            'metrics.horizon_days', 'metrics.purchase_group', 'metrics.metric'
        ]) }} as id,
        metrics.user_id,
        metrics.model_version,
        metrics.model,
        metrics.candidate,
        metrics.purchase_group,
        metrics.metric,
        versions.reason as promotion_reason,
        metrics.horizon_days,
        metrics.value,
        metrics.n as customer_count,
        versions.is_promoted,
        metrics.origin_date,
        versions.trained_as_of_date
    from metrics
    left join versions
        on
            metrics.user_id = versions.user_id
            and metrics.model_version = versions.model_version
            and metrics.model = versions.model

)

select * from measured
