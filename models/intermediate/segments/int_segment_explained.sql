{{ config(materialized='table') }}

{% set days_of_leavers = 30 %}

with clock as (

    select * from {{ ref('int_segment_clock') }}

),

spells as (

    select * from {{ ref('int_segment_spells') }}

),

clauses as (

    select * from {{ ref('int_segment_clauses') }}

),

customers as (

    select * from {{ ref('int_segment_customers') }}

),

-- Members, and who was one within the last days.
subjects as (

    select
        spells.user_id,
        spells.segment_key,
        spells.customer_id,
        bool_or(spells.left_date is null) as is_member,
        max(spells.joined_date) as joined_date,
        max(clock.as_of_date) as as_of_date
    from spells
    inner join clock on spells.user_id = clock.user_id
    where coalesce(spells.left_date > {{ add_days('clock.as_of_date', -days_of_leavers) }}, true)
    group by spells.user_id, spells.segment_key, spells.customer_id

),

explained as (

    select
        subjects.user_id,
        clauses.segment_id,
        subjects.segment_key,
        subjects.customer_id,
        customers.customer_number,
        subjects.is_member,
        subjects.joined_date,
        subjects.as_of_date,
        clauses.* exclude (user_id, segment_id, segment_key, segment_word, segment_bit) -- noqa: RF02
    from subjects
    inner join customers
        on subjects.user_id = customers.user_id and subjects.customer_id = customers.customer_id
    inner join clauses
        on
            subjects.user_id = clauses.user_id
            and subjects.segment_key = clauses.segment_key
            and subjects.as_of_date >= clauses.since
            and subjects.as_of_date < clauses.until_date

)

select * from explained
