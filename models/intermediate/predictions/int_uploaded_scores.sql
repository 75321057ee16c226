with churn_scores as (

    select * from {{ ref('stg_churn_scores') }}

),

ltv_predictions as (

    select * from {{ ref('stg_ltv_predictions') }}

),

load_ledger as (

    select
        file_id,
        loaded_at
    from {{ ref('stg_load_ledger') }}

),

clock as (

    select * from {{ ref('int_tenant_clock') }}

),

uploads as (

    select
        'churn_scores' as feed,
        user_id,
        customer_id,
        churn_probability,
        updated_at,
        load_id,
        file_id,
        record_number
    from churn_scores
    where not is_repeated

    union all by name

    select
        'ltv_predictions' as feed,
        * exclude (prediction_id, is_repeated) -- noqa: RF02
    from ltv_predictions
    where not is_repeated

),

-- A score without a time of its own speaks of the last day that is known when it is loaded, as the as-of date does.
dated as (

    select
        uploads.*,
        case
            when uploads.updated_at = load_ledger.loaded_at
                then least(
                    {{ add_days('cast(' ~ local_time('load_ledger.loaded_at', 'clock.timezone') ~ ' as date)', -1) }},
                    clock.ruled_date
                )
            else cast({{ local_time('uploads.updated_at', 'clock.timezone') }} as date)
        end as valid_date
    from uploads
    inner join load_ledger on uploads.file_id = load_ledger.file_id
    inner join clock on uploads.user_id = clock.user_id

)

select * from dated
