{{ config(meta={'dagster': {'ref': {'name': 'rfm_thresholds'}}}) }}

-- Equal values have equal scores and better values better ones, so that the ranges of neighbouring scores do not
-- touch; and each dimension scores every buyer once.
with thresholds as (

    select
        *,
        lag(highest_value) over by_value as highest_value_below,
        lag(score) over by_value as score_below,
        sum(customer_count) over (partition by user_id, dimension) as scored_count
    from {{ ref('rfm_thresholds') }}
    window by_value as (
        partition by user_id, dimension
        order by lowest_value, score
    )

),

buyers as (

    select
        user_id,
        count(*) as buyer_count
    from {{ ref('customer_rfm') }}
    group by user_id

),

failures as (

    select
        thresholds.user_id,
        thresholds.dimension,
        thresholds.score,
        thresholds.lowest_value,
        thresholds.highest_value_below,
        thresholds.scored_count,
        buyers.buyer_count
    from thresholds
    left join buyers on thresholds.user_id = buyers.user_id
    where
        thresholds.lowest_value <= thresholds.highest_value_below
        or (thresholds.dimension = 'recency' and thresholds.score >= thresholds.score_below)
        or (thresholds.dimension <> 'recency' and thresholds.score <= thresholds.score_below)
        or thresholds.scored_count is distinct from buyers.buyer_count

)

select * from failures
