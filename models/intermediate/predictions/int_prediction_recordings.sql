with recordings as (

    select * from {{ ref('stg_prediction_recordings') }}

),

-- Customers may be scored again on the same as-of date: the last time counts.
last_of_date as (

    select *
    from recordings
    qualify row_number() over (partition by user_id, as_of_date order by recording_id desc) = 1

),

with_ends as (

    select
        *,
        lead(as_of_date) over (partition by user_id order by as_of_date) as until_date
    from last_of_date

)

select * from with_ends
