{{ config(materialized='table') }}

{#-
    Rules of a group share a word, so that one comparison tells whether all are met. With at most 20 rules a group, 40 a
    word fit 64 bits.
-#}
{% set rules_per_word = 40 %}

with definitions as (

    select * from {{ ref('int_segment_definitions') }}
    where is_automatic and is_active

),

rules as (

    select * from {{ ref('segment_rules') }}

),

fields as (

    select * from {{ ref('criteria_fields') }}

),

clauses as (

    select
        definitions.user_id,
        definitions.segment_id,
        rules.*,
        definitions.until,
        definitions.segment_word,
        definitions.segment_bit,
        fields.value_type,
        case
            when fields.value_type = 'event'
                then dense_rank() over (
                    order by
                        definitions.user_id,
                        rules.subject,
                        rules.match_key,
                        lower(rules.match_value),
                        rules.sum_property,
                        rules.first_day,
                        rules.last_day
                )
        end as window_number,
        row_number() over (
            partition by definitions.user_id
            order by rules.segment_key, rules.since, rules.group_number, rules.rule_number
        ) - 1 as place
    from definitions
    inner join rules on definitions.segment_key = rules.segment_key and definitions.since = rules.since
    inner join fields on rules.field = fields.field

),

placed as (

    select
        *,
        {{ integer_division('min(place) over clause_group', rules_per_word) }} as word_of_tenant
    from clauses
    window clause_group as (partition by user_id, segment_key, since, group_number)

),

-- Words are numbered over all tenants: a state's words find their groups by number alone.
with_bits as (

    select
        * exclude (place, word_of_tenant, until),
        coalesce(until, date '9999-12-31') as until_date,
        dense_rank() over (order by user_id, word_of_tenant) as clause_word,
        cast(1 as bigint) << cast(place - min(place) over words as integer) as clause_bit
    from placed
    window words as (partition by user_id, word_of_tenant)

)

select * from with_bits
