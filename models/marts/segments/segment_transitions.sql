with moves as (

    select * from {{ ref('int_segment_moves') }}
    where is_exclusive

),

departures as (

    select * from moves
    where not is_join

),

arrivals as (

    select * from moves
    where is_join

),

transitions as (

    select
        user_id,
        family,
        date,
        departures.segment_id as from_segment_id,
        departures.segment_key as from_segment,
        arrivals.segment_id as to_segment_id,
        arrivals.segment_key as to_segment
    from departures
    full outer join arrivals using (user_id, family, customer_id, date)

),

counted as (

    select
        {{ surrogate_uuid(['user_id', 'family', 'date', 'from_segment', 'to_segment']) }} as id,
        user_id,
        from_segment_id,
        to_segment_id,
        family,
        from_segment,
        to_segment,
        count(*) as customer_count,
        date
    from transitions
    group by user_id, family, date, from_segment_id, from_segment, to_segment_id, to_segment

)

select * from counted
