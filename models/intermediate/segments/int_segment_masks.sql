{{ config(materialized='table', in_batches='states', date_column='state_date') }}

with states as (

    select
        user_id,
        customer_number,
        state_date,
        {{ state_numbers() }} as numbers,
        {{ state_texts() }} as texts,
        tags,
        order_count > 0 as is_buyer
    from {{ ref('int_customer_attributes') }}
    where {{ is_in_state_batch('state_date') }}

),

tests as (

    select * from {{ ref('int_segment_tests') }}

),

clause_groups as (

    select
        clause_word,
        segment_word,
        segment_bit,
        since,
        until_date,
        cast(sum(clause_bit) as bigint) as needed
    from {{ ref('int_segment_clauses') }}
    where value_type <> 'segment'
    group by clause_word, segment_word, segment_bit, segment_key, since, until_date, group_number

),

event_hits as (

    select
        customer_number,
        hit_date as state_date,
        clause_word,
        clause_bit
    from {{ ref('int_segment_event_hits') }}
    where {{ is_in_state_batch('hit_date') }}

),

attribute_hits as (

    select
        states.customer_number,
        states.state_date,
        tests.clause_word,
        tests.clause_bit
    from states
    inner join tests
        on
            states.user_id = tests.user_id
            and tests.kind <> 'rank'
            and states.state_date >= tests.since
            and states.state_date < tests.until_date
    where
        case tests.kind
            when 'number' then states.numbers[tests.place] between tests.lowest and tests.highest
            when 'first' then true
            else {{ text_hit('states.texts[tests.place]', 'states.tags', 'tests') }}
        end

),

ranked as (

    select
        states.customer_number,
        states.state_date,
        tests.clause_word,
        tests.clause_bit,
        tests.highest,
        100.0 * (
            rank() over (
                partition by tests.user_id, tests.clause_word, tests.clause_bit, states.state_date
                order by states.numbers[tests.place] * tests.direction
            ) - 1
        ) / count(*) over (
            partition by tests.user_id, tests.clause_word, tests.clause_bit, states.state_date
        ) as better_percent
    from states
    inner join tests
        on
            states.user_id = tests.user_id
            and tests.kind = 'rank'
            and states.state_date >= tests.since
            and states.state_date < tests.until_date
    where states.is_buyer and states.numbers[tests.place] is not null

),

hits as (

    select * from attribute_hits
    union all
    select
        customer_number,
        state_date,
        clause_word,
        clause_bit
    from ranked
    where better_percent <= highest
    union all
    select * from event_hits

),

-- A clause that several of its tests toggle is met when an odd number of them does.
clause_masks as (

    select
        customer_number,
        state_date,
        clause_word,
        bit_xor(clause_bit) as clause_mask
    from hits
    group by customer_number, state_date, clause_word

),

segment_masks as (

    select
        clause_masks.customer_number,
        clause_masks.state_date,
        clause_groups.segment_word,
        bit_or(clause_groups.segment_bit) as segment_mask
    from clause_masks
    inner join clause_groups
        on
            clause_masks.clause_word = clause_groups.clause_word
            and clause_masks.state_date >= clause_groups.since
            and clause_masks.state_date < clause_groups.until_date
            and clause_masks.clause_mask & clause_groups.needed = clause_groups.needed
    group by clause_masks.customer_number, clause_masks.state_date, clause_groups.segment_word

)

select * from segment_masks
