with days as (

    select * from {{ ref('int_segment_days') }}

),

memberships as (

    select * from {{ ref('int_segment_memberships') }}

),

moves as (

    select * from {{ ref('int_segment_moves') }}

),

{% set causes = ['behavior', 'definition', 'data', 'assignment'] %}

members_at_the_start as (

    select
        user_id,
        segment_key,
        member_from as date,
        count(*) as member_count
    from memberships
    where is_joined_before_history
    group by user_id, segment_key, member_from

),

moves_by_date as (

    select
        user_id,
        segment_key,
        date,
        {%- for cause in causes %}
            count(*) filter (where is_join and cause = '{{ cause }}') as joined_by_{{ cause }},
            count(*) filter (where not is_join and cause = '{{ cause }}') as left_by_{{ cause }},
        {%- endfor %}
        count(*) filter (where is_join) as joined_count,
        count(*) filter (where not is_join) as left_count
    from moves
    group by user_id, segment_key, date

),

sizes as (

    select
        {{ surrogate_uuid(['days.user_id', 'days.segment_key', 'days.date']) }} as id,
        days.user_id,
        days.segment_id,
        days.segment_key,
        days.family,
        cast(sum(
            coalesce(members_at_the_start.member_count, 0)
            + coalesce(moves_by_date.joined_count, 0)
            - coalesce(moves_by_date.left_count, 0)
        ) over to_date as bigint) as member_count,
        coalesce(moves_by_date.joined_count, 0) as joined_count,
        coalesce(moves_by_date.left_count, 0) as left_count,
        {%- for direction in ['joined', 'left'] %}
            {%- for cause in causes %}
                coalesce(moves_by_date.{{ direction }}_by_{{ cause }}, 0) as {{ direction }}_by_{{ cause }},
            {%- endfor %}
        {%- endfor %}
        days.is_exclusive,
        days.is_active,
        days.date
    from days
    left join members_at_the_start
        on
            days.user_id = members_at_the_start.user_id
            and days.segment_key = members_at_the_start.segment_key
            and days.date = members_at_the_start.date
    left join moves_by_date
        on
            days.user_id = moves_by_date.user_id
            and days.segment_key = moves_by_date.segment_key
            and days.date = moves_by_date.date
    window to_date as (
        partition by days.user_id, days.segment_key
        order by days.date
        rows unbounded preceding
    )

)

select * from sizes
