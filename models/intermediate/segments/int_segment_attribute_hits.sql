with states as (

    select
        user_id,
        customer_number,
        state_date,
        until_date,
        until_date - state_date as date_count,
        {{ state_numbers() }} as numbers,
        {{ state_texts() }} as texts,
        tags
    from {{ ref('int_customer_attributes') }}

),

tests as (

    select * from {{ ref('int_segment_tests') }}
    where kind in ('first', 'text', 'list') or (kind = 'number' and pace <> 'uneven')

),

-- Several clauses may ask the same ("has agreed to e-mail"): what is asked once is answered once.
different_tests as (

    select
        user_id,
        clause_word,
        kind,
        place,
        pace,
        lowest,
        highest,
        text_test,
        text_operand,
        since,
        until_date,
        bit_xor(clause_bit) as clause_bits
    from tests
    group by all

),

-- What grows by a day a day is met from the day that reaches the lowest value until the one that passes the highest:
-- days are whole, so that no float decides.
met as (

    select
        states.customer_number,
        states.state_date,
        states.date_count,
        tests.clause_word,
        tests.clause_bits,
        tests.since,
        tests.until_date,
        case when tests.pace = 'growing' then ceil(tests.lowest) - states.numbers[tests.place] end as first_day,
        case when tests.pace = 'growing' then floor(tests.highest) - states.numbers[tests.place] + 1 end as end_day
    from states
    inner join different_tests as tests
        on
            states.user_id = tests.user_id
            and states.state_date < tests.until_date
            and states.until_date > tests.since
    where
        case
            when tests.kind = 'first' then true
            when tests.pace = 'growing'
                then
                    states.numbers[tests.place] <= tests.highest
                    and states.numbers[tests.place] + states.date_count > tests.lowest
            when tests.kind = 'number' then states.numbers[tests.place] between tests.lowest and tests.highest
            else {{ text_hit('states.texts[tests.place]', 'states.tags', 'tests') }}
        end

),

hits as (

    select
        customer_number,
        clause_word,
        clause_bits,
        greatest(
            since,
            {{ add_days('state_date', 'cast(least(greatest(first_day, 0), date_count) as integer)') }}
        ) as from_date,
        least(
            until_date,
            {{ add_days('state_date', 'cast(greatest(least(end_day, date_count), 0) as integer)') }}
        ) as until_date
    from met

),

hits_within_versions as (

    select * from hits
    where from_date < until_date

)

select * from hits_within_versions
