with clock as (

    select * from {{ ref('int_segment_clock') }}

),

sizes as (

    select * from {{ ref('segment_size_daily') }}
    where is_active

),

memberships as (

    select * from {{ ref('int_segment_memberships') }}
    where member_until is null

),

customers as (

    select
        user_id,
        count(*) as customer_count
    from {{ ref('customers') }}
    group by user_id

),

members as (

    select
        user_id,
        count(distinct customer_id) as distinct_member_count
    from memberships
    group by user_id

),

segments as (

    select
        clock.user_id,
        count(sizes.segment_key) as active_segment_count,
        count(sizes.segment_key) filter (where sizes.member_count > 0) as segments_with_members_count,
        coalesce(sum(sizes.member_count), 0) as membership_count
    from clock
    left join sizes on clock.user_id = sizes.user_id and clock.as_of_date = sizes.date
    group by clock.user_id

),

kpis as (

    select
        {{ surrogate_uuid(['clock.user_id']) }} as id,
        clock.user_id,
        segments.active_segment_count,
        segments.segments_with_members_count,
        cast(segments.membership_count as bigint) as membership_count,
        coalesce(members.distinct_member_count, 0) as distinct_member_count,
        coalesce(customers.customer_count, 0) as customer_count,
        segments.membership_count / nullif(segments.active_segment_count, 0) as average_member_count,
        members.distinct_member_count / nullif(customers.customer_count, 0) as member_share,
        clock.as_of_date,
        clock.history_from
    from clock
    inner join segments on clock.user_id = segments.user_id
    left join members on clock.user_id = members.user_id
    left join customers on clock.user_id = customers.user_id

)

select * from kpis
