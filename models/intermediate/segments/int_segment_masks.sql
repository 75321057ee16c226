{{ config(materialized='table', in_batches='customers') }}

with customers as (

    select * from {{ ref('int_segment_customers') }}

),

clauses as (

    select * from {{ ref('int_segment_clauses') }}
    where value_type <> 'segment'

),

hits as (

    {% for hits in ['attribute', 'uneven', 'rank', 'event'] %}
        select
            customer_number,
            clause_word,
            {{ 'clause_bits' if hits == 'attribute' else 'clause_bit as clause_bits' }},
            from_date,
            until_date
        from {{ ref('int_segment_' ~ hits ~ '_hits') }}
        where {{ is_in_customer_batch('customer_number') }}
        {% if not loop.last %}
            union all
        {% endif %}
    {% endfor %}

),

ranges as (

    select
        customer_number,
        clause_word,
        from_date,
        until_date,
        bit_xor(clause_bits) as clause_bits
    from hits
    group by customer_number, clause_word, from_date, until_date

),

ends as (

    select
        customer_number,
        clause_word,
        clause_bits,
        unnest([from_date, until_date]) as state_date
    from ranges

),

-- A clause that several of its tests toggle is met when an odd number of them does: what begins toggles it, and what
-- ends.
toggles as (

    select
        customer_number,
        clause_word,
        state_date,
        bit_xor(clause_bits) as clause_bits
    from ends
    group by customer_number, clause_word, state_date
    having bit_xor(clause_bits) <> 0

),

-- Groups of a segment may be in several words: on a date that toggles one of them, all are looked at.
toggles_of_all_words as (

    select * from toggles

    union all

    select distinct
        toggles.customer_number,
        words.clause_word,
        toggles.state_date,
        0 as clause_bits
    from toggles
    inner join customers on toggles.customer_number = customers.customer_number
    inner join clauses as words on customers.user_id = words.user_id and toggles.clause_word <> words.clause_word

),

clause_masks as (

    select
        customer_number,
        clause_word,
        state_date,
        bit_xor(bit_xor(clause_bits)) over (
            partition by customer_number, clause_word
            order by state_date
            rows unbounded preceding
        ) as clause_mask
    from toggles_of_all_words
    group by customer_number, clause_word, state_date

),

clause_groups as (

    select
        clause_word,
        segment_word,
        segment_bit,
        cast(sum(clause_bit) as bigint) as needed
    from clauses
    group by clause_word, segment_word, segment_bit, segment_key, since, group_number

),

-- Few masks occur. A clause's bit is only set while its version holds.
segments_of_masks as (

    select
        masks.clause_word,
        masks.clause_mask,
        clause_groups.segment_word,
        bit_or(
            if(masks.clause_mask & clause_groups.needed = clause_groups.needed, clause_groups.segment_bit, 0)
        ) as segment_mask
    from (select distinct * exclude (customer_number, state_date) from clause_masks) as masks
    inner join clause_groups on masks.clause_word = clause_groups.clause_word
    group by masks.clause_word, masks.clause_mask, clause_groups.segment_word

),

segment_masks as (

    select
        clause_masks.customer_number,
        clause_masks.state_date,
        segments_of_masks.segment_word,
        bit_or(segments_of_masks.segment_mask) as segment_mask
    from clause_masks
    inner join segments_of_masks
        on
            clause_masks.clause_word = segments_of_masks.clause_word
            and clause_masks.clause_mask = segments_of_masks.clause_mask
    group by clause_masks.customer_number, clause_masks.state_date, segments_of_masks.segment_word

),

changed_masks as (

    select *
    from segment_masks
    qualify segment_mask is distinct from lag(segment_mask) over (
        partition by customer_number, segment_word
        order by state_date
    )

)

select * from changed_masks
