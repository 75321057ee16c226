with touched_dates as (

    select * from {{ ref('int_touched_dates') }}

),

-- Sessions are cut in the small hours: an event of date d belongs to session day d - 1 or d.
touched as (

    select
        user_id,
        event_date as session_date
    from touched_dates

    union

    select
        user_id,
        {{ add_days('event_date', -1) }} as session_date
    from touched_dates

)

select * from touched
