{{ config(meta={'dagster': {'ref': {'name': 'segment_kpis'}}}) }}

-- The key figures are those of the current members themselves, and no tenant is missing.
with kpis as (

    select * from {{ ref('segment_kpis') }}

),

members as (

    select
        user_id,
        count(*) as membership_count,
        count(distinct customer_id) as distinct_member_count,
        count(distinct segment_key) as segments_with_members_count
    from {{ ref('int_segment_spells') }}
    where left_date is null
    group by user_id

),

failures as (

    select
        clock.user_id,
        kpis.membership_count,
        members.membership_count as expected_membership_count
    from {{ ref('int_segment_clock') }} as clock
    left join kpis on clock.user_id = kpis.user_id
    left join members on clock.user_id = members.user_id
    where
        kpis.membership_count is distinct from coalesce(members.membership_count, 0)
        or kpis.distinct_member_count is distinct from coalesce(members.distinct_member_count, 0)
        or kpis.segments_with_members_count is distinct from coalesce(members.segments_with_members_count, 0)
        or kpis.segments_with_members_count > kpis.active_segment_count
        or kpis.distinct_member_count > kpis.customer_count

)

select * from failures
