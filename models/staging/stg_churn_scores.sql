with churn_scores as (

    select
        *,
        false as is_repeated
    from {{ source('raw', 'churn_scores') }}

),

repeated_churn_scores as (

    select
        *,
        true as is_repeated
    from {{ source('raw', 'duplicate_churn_scores') }}

),

all_rows as (

    select * from churn_scores
    union all
    select * from repeated_churn_scores

),

scaled as (

    select
        row_id as score_id,
        user_id,
        customer_id,
        -- The load step lets no other scale in.
        case
            when coalesce(scale, churn_score_scale) in ('100', '100.0', '0-100') then churn_score / 100
            else churn_score
        end as churn_probability,
        is_repeated,
        updated_at,
        load_id,
        file_id,
        record_number
    from all_rows

)

select * from scaled
