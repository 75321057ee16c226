{{ config(severity='warn', meta={'dagster': {'ref': {'name': 'data_as_of'}}}) }}

-- A date after 60 empty days with hardly any events is probably a wrong clock, and the as-of date may follow it:
-- a person should look.
with stray_dates as (

    select
        user_id,
        as_of_date,
        stray_from_date
    from {{ ref('data_as_of') }}
    where stray_from_date is not null

)

select * from stray_dates
