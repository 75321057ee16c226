with dates as (

    select * from {{ ref('int_segment_dates') }}

),

due_dates as (

    select
        user_id,
        evaluation_date as change_date
    from dates
    where is_due

)

select * from due_dates
