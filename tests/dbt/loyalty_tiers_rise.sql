{{ config(meta={'dagster': {'ref': {'name': 'loyalty_tiers'}}}) }}

-- A higher tier needs more points, and its name is written as profiles have it.
with tiers as (

    select
        *,
        lag(points_from) over (partition by user_id order by tier_rank) as points_below
    from {{ ref('loyalty_tiers') }}

),

failures as (

    select * from tiers
    where
        points_from <= points_below
        or points_from < 0
        or tier_rank < 1
        or loyalty_tier <> lower(loyalty_tier)

)

select * from failures
