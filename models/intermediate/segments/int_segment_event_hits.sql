with event_values as (

    select * from {{ ref('int_segment_event_values') }}

),

tests as (

    select * from {{ ref('int_segment_tests') }}
    where kind = 'event'

),

-- Only values that a test judges otherwise than 0: the others are as the clause was at first. Joined by number, because
-- DuckDB 2.0.0 fails ("dict-surviving cache") when two joins in a row hand on texts of these tables.
toggled as (

    select
        event_values.customer_number,
        tests.clause_word,
        tests.clause_bit,
        greatest(event_values.from_date, tests.since) as from_date,
        least(event_values.until_date, tests.until_date) as until_date
    from event_values
    inner join tests on event_values.window_number = tests.window_number
    where
        (0 between tests.lowest and tests.highest) <> (
            case tests.field
                when 'event_count' then event_values.event_count
                when 'event_days' then event_values.event_days
                when 'event_sum' then event_values.event_sum
            end between tests.lowest and tests.highest
        )

),

hits as (

    select * from toggled
    where from_date < until_date

)

select * from hits
