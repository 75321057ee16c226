with states as (

    select * from {{ ref('int_customer_attributes') }}

),

tests as (

    select * from {{ ref('int_segment_tests') }}
    where kind = 'number' and pace = 'uneven'

),

at_both_ends as (

    select
        states.customer_number,
        states.state_date,
        states.until_date,
        states.order_count,
        {%- for field in segment_date_fields() %}
            states.{{ field }},
        {%- endfor %}
        tests.clause_word,
        tests.clause_bit,
        tests.measure,
        tests.lowest,
        tests.highest,
        tests.since,
        tests.until_date as test_until_date,
        cast({{ uneven_measure('states', 'tests.measure', 'states.state_date') }} as double) as first_value,
        cast({{ uneven_measure('states', 'tests.measure', add_days('states.until_date', -1)) }} as double) as last_value
    from states
    inner join tests
        on
            states.user_id = tests.user_id
            and states.state_date < tests.until_date
            and states.until_date > tests.since

),

-- Between its ends a measure goes up or down only, but for an anniversary that comes before the last date.
judged as (

    select
        *,
        first_value between lowest and highest and last_value between lowest and highest as is_in,
        greatest(first_value, last_value) < lowest or least(first_value, last_value) > highest as is_out,
        measure in ('orders_per_month', 'age') or first_value >= until_date - state_date - 1 as is_one_way
    from at_both_ends
    where first_value is not null

),

days as (

    select
        *,
        {{ unnest_days('state_date', add_days('until_date', -1)) }} as hit_date
    from judged
    where not is_one_way or not (is_in or is_out)

),

all_hits as (

    select
        customer_number,
        clause_word,
        clause_bit,
        greatest(state_date, since) as from_date,
        least(until_date, test_until_date) as until_date
    from judged
    where is_one_way and is_in

    union all

    select
        customer_number,
        clause_word,
        clause_bit,
        hit_date as from_date,
        {{ add_days('hit_date', 1) }} as until_date
    from days
    where
        cast({{ uneven_measure('days', 'days.measure', 'days.hit_date') }} as double) between lowest and highest
        and hit_date >= since
        and hit_date < test_until_date

),

hits as (

    select * from all_hits
    where from_date < until_date

)

select * from hits
