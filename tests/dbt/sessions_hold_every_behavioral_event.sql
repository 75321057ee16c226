{{ config(meta={'dagster': {'ref': {'name': 'sessions'}}}) }}

-- Sessions partition what customers did: nothing is in two sessions or in none, whatever cuts them.
with events as (

    select
        user_id,
        session_date,
        event_type
    from {{ ref('customer_behavior_events') }}
    where {{ is_under_test('session_date') }}

),

event_types as (

    select * from {{ ref('event_types') }}

),

events_by_day as (

    select
        events.user_id,
        events.session_date,
        count(*) as event_count
    from events
    left join event_types on events.event_type = event_types.event_type
    where coalesce(event_types.is_behavioral, true)
    group by events.user_id, events.session_date

),

sessions_by_day as (

    select
        user_id,
        session_date,
        sum(event_count) as event_count
    from {{ ref('sessions') }}
    where {{ is_under_test('session_date') }}
    group by user_id, session_date

),

differences as (

    select
        coalesce(events_by_day.user_id, sessions_by_day.user_id) as user_id,
        coalesce(events_by_day.session_date, sessions_by_day.session_date) as session_date,
        events_by_day.event_count as count_of_events,
        sessions_by_day.event_count as count_in_sessions
    from events_by_day
    full outer join sessions_by_day
        on
            events_by_day.user_id = sessions_by_day.user_id
            and events_by_day.session_date = sessions_by_day.session_date
    where events_by_day.event_count is distinct from sessions_by_day.event_count

)

select * from differences
