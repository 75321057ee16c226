{{ config(materialized='table') }}

with tiers as (

    select * from {{ ref('loyalty_tiers') }}

),

tenants as (

    select user_id from {{ ref('int_tenants') }}

),

-- A tenant with tiers of its own has no others.
tiers_of_tenants as (

    select
        tenants.user_id,
        tiers.loyalty_tier,
        tiers.points_from
    from tenants
    inner join tiers
        on tiers.user_id = case
            when tenants.user_id in (select own.user_id from tiers as own) then tenants.user_id else '*'
        end

),

-- Below the lowest tier stand those without one.
with_bottom as (

    select
        user_id,
        loyalty_tier,
        points_from
    from tiers_of_tenants

    union all

    select distinct
        user_id,
        '' as loyalty_tier,
        -1 as points_from
    from tiers_of_tenants

),

ladder as (

    select
        user_id,
        loyalty_tier,
        lead(points_from) over (partition by user_id order by points_from, loyalty_tier) as next_points_from
    from with_bottom

)

select * from ladder
