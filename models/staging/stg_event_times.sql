with events as (

    select * from {{ source('raw', 'events') }}

),

times as (

    select
        user_id,
        created_at,
        load_id
    from events

)

select * from times
