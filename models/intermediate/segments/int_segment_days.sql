{{ config(materialized='table') }}

with clock as (

    select * from {{ ref('int_segment_clock') }}

),

definitions as (

    select * from {{ ref('int_segment_definitions') }}

),

versions as (

    select
        definitions.*,
        lag(definitions.is_active) over (
            partition by definitions.user_id, definitions.segment_key
            order by definitions.since
        ) as was_active,
        clock.history_from,
        clock.as_of_date
    from definitions
    inner join clock on definitions.user_id = clock.user_id

),

-- The day on which a segment is retired has a row, too: its members leave on that day.
spans as (

    select
        *,
        greatest(since, history_from) as first_date,
        least(case when is_active then {{ add_days('until', -1) }} else since end, as_of_date) as last_date
    from versions
    where is_active or (was_active and since > history_from)

),

days as (

    select
        user_id,
        segment_key,
        segment_id,
        family,
        coalesce(is_exclusive and family is not null, false) as is_exclusive,
        is_active,
        since,
        {{ unnest_days('first_date', 'last_date') }} as date
    from spans
    where first_date <= last_date

)

select * from days
