with sessions as (

    select * from {{ ref('sessions') }}

),

clock as (

    select
        user_id,
        as_of_date
    from {{ ref('int_tenant_clock') }}

),

first_sessions as (

    select
        sessions.user_id,
        sessions.customer_id,
        arg_min(sessions.channel, (sessions.started_at, sessions.id)) as acquisition_channel
    from sessions
    inner join clock on sessions.user_id = clock.user_id and sessions.session_date <= clock.as_of_date
    group by sessions.user_id, sessions.customer_id

)

select * from first_sessions
