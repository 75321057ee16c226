{{ config(materialized='table') }}

with measures as (

    select * from {{ ref('int_rfm_measures') }}

),

scored as (

    select
        *,
        -- The fewer days, the better: a big tie on the last day scores 5.
        cast(5 - {{ quantile('recency_days', 5, 'user_id') }} as integer) as recency_score,
        -- The more, the better: a big tie on a single purchase scores 1.
        cast(1 + {{ quantile('purchase_count', 5, 'user_id') }} as integer) as frequency_score,
        cast(1 + {{ quantile('greatest(net_spend, 0)', 5, 'user_id') }} as integer) as monetary_score,
        cast(1 + {{ quantile('engagement_count', 5, 'user_id') }} as integer) as engagement_score
    from measures

),

with_fm_score as (

    select
        *,
        {{ integer_division('frequency_score + monetary_score', 2) }} as fm_score
    from scored

)

select * from with_fm_score
