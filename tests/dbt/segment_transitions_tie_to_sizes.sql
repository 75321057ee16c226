{{ config(meta={'dagster': {'ref': {'name': 'segment_transitions'}}}) }}

-- Whoever joins or leaves a segment of an exclusive family comes from somewhere and goes somewhere.
with sizes as (

    select
        user_id,
        family,
        segment_key,
        date,
        joined_count,
        left_count
    from {{ ref('segment_size_daily') }}
    where is_exclusive

),

transitions as (

    select * from {{ ref('segment_transitions') }}

),

moves as (

    select
        user_id,
        family,
        to_segment as segment_key,
        date,
        customer_count as joined_count,
        0 as left_count
    from transitions
    where to_segment is not null

    union all

    select
        user_id,
        family,
        from_segment as segment_key,
        date,
        0 as joined_count,
        customer_count as left_count
    from transitions
    where from_segment is not null

),

moves_by_segment as (

    select
        user_id,
        family,
        segment_key,
        date,
        sum(joined_count) as joined_count,
        sum(left_count) as left_count
    from moves
    group by user_id, family, segment_key, date

),

differences as (

    select
        user_id,
        family,
        segment_key,
        date
    from sizes
    full outer join moves_by_segment using (user_id, family, segment_key, date)
    where
        coalesce(sizes.joined_count, 0) <> coalesce(moves_by_segment.joined_count, 0)
        or coalesce(sizes.left_count, 0) <> coalesce(moves_by_segment.left_count, 0)

),

-- Who comes from nowhere and goes nowhere, or stays, makes no transition.
no_transitions as (

    select
        user_id,
        family,
        coalesce(from_segment, to_segment) as segment_key,
        date
    from transitions
    where from_segment is not distinct from to_segment or customer_count < 1

),

failures as (

    select * from differences
    union all
    select * from no_transitions

)

select * from failures
