with levels as (

    select * from {{ ref('int_rank_levels') }}

),

tests as (

    select
        *,
        field || '.' || direction as ranking,
        dense_rank() over (partition by user_id, field, direction order by highest) as cut_number
    from {{ ref('int_segment_tests') }}
    where kind = 'rank'

),

hits as (

    select
        levels.customer_number,
        tests.clause_word,
        tests.clause_bit,
        greatest(levels.from_date, tests.since) as from_date,
        least(levels.until_date, tests.until_date) as until_date
    from levels
    inner join tests
        on
            levels.user_id = tests.user_id
            and levels.ranking = tests.ranking
            and levels.cuts_before < tests.cut_number
    where greatest(levels.from_date, tests.since) < least(levels.until_date, tests.until_date)

)

select * from hits
