with explained as (

    select * from {{ ref('int_segment_explained') }}

),

tests as (

    select * from {{ ref('int_segment_tests') }}

),

clock as (

    select * from {{ ref('int_segment_clock') }}

),

-- As int_segment_masks has them, of the as-of date only.
states as (

    select
        user_id,
        customer_number,
        order_count > 0 as is_buyer,
        {{ state_numbers() }} as numbers,
        {{ state_texts() }} as texts,
        tags
    from {{ ref('int_customer_attributes') }}
    where state_date = as_of_date

),

event_values as (

    select * from {{ ref('int_segment_event_values') }}
    where is_last

),

ranks as (

    select
        states.customer_number,
        tests.clause_word,
        tests.clause_bit,
        100.0 * (
            rank() over (
                partition by tests.clause_word, tests.clause_bit
                order by states.numbers[tests.place] * tests.direction
            ) - 1
        ) / count(*) over (partition by tests.clause_word, tests.clause_bit) as better_percent
    from states
    inner join tests on states.user_id = tests.user_id and tests.kind = 'rank'
    inner join clock
        on
            tests.user_id = clock.user_id
            and tests.since <= clock.as_of_date
            and tests.until_date > clock.as_of_date
    where states.is_buyer and states.numbers[tests.place] is not null

),

tested as (

    select
        explained.customer_number,
        explained.clause_word,
        explained.clause_bit,
        tests.* exclude (clause_word, clause_bit), -- noqa: RF02
        case
            when tests.value_type = 'event'
                then coalesce(
                    case tests.field
                        when 'event_count' then event_values.event_count
                        when 'event_days' then event_values.event_days
                        else event_values.event_sum
                    end,
                    0
                )
            when tests.kind = 'rank' then ranks.better_percent
            when tests.value_type in ('number', 'flag', 'date') then states.numbers[tests.place]
        end as number,
        states.texts[tests.place] as text_value,
        states.tags
    from explained
    inner join tests
        on
            explained.clause_word = tests.clause_word
            and explained.clause_bit = tests.clause_bit
            -- Here a count of 0 is known, and nothing need be assumed at first.
            and (tests.kind <> 'first' or tests.value_type <> 'event')
    inner join states on explained.customer_number = states.customer_number
    left join event_values
        on
            explained.customer_number = event_values.customer_number
            and tests.window_number = event_values.window_number
    left join ranks
        on
            explained.customer_number = ranks.customer_number
            and tests.clause_word = ranks.clause_word
            and tests.clause_bit = ranks.clause_bit

),

clause_values as (

    select
        tested.customer_number,
        tested.clause_word,
        tested.clause_bit,
        max(
            case
                when tested.value_type = 'text' then tested.text_value
                when tested.value_type = 'list' then cast(tested.tags as varchar)
                when tested.value_type = 'flag' then cast(tested.number = 1 as varchar)
                when tested.value_type = 'date' and tested.measure = tested.field
                    then strftime({{ add_days("date '1970-01-01'", 'cast(tested.number as integer)') }}, '%Y-%m-%d')
                else regexp_replace(cast(round(tested.number, 4) as varchar), '\.0$', '')
            end
        ) as value,
        -- A clause that several of its tests toggle is met when an odd number of them does.
        count(*) filter (
            case
                when tested.kind = 'first' then true
                when tested.kind in ('text', 'list') then {{ text_hit('tested.text_value', 'tested.tags', 'tested') }}
                else tested.number between tested.lowest and tested.highest
            end
        ) % 2 = 1 as is_met
    from tested
    group by tested.customer_number, tested.clause_word, tested.clause_bit

)

select * from clause_values
