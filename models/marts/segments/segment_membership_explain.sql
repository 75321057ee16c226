with explained as (

    select * from {{ ref('int_segment_explained') }}

),

clause_values as (

    select * from {{ ref('int_segment_explained_values') }}

),

fields as (

    select * from {{ ref('criteria_fields') }}

),

manual_spells as (

    select * from {{ ref('int_segment_spells') }}
    where assignment_type = 'manual'

),

clock as (

    select * from {{ ref('int_segment_clock') }}

),

rules as (

    select
        explained.user_id,
        explained.segment_key,
        explained.customer_id,
        explained.is_member,
        explained.group_number,
        explained.rule_number,
        concat_ws(
            ' ',
            explained.field,
            'of ' || explained.subject,
            'where ' || explained.match_key || ' = ' || explained.match_value,
            'summing ' || explained.sum_property,
            case
                when explained.last_day is not null
                    then concat('from ', explained.first_day, ' to ', explained.last_day, ' days before')
                when explained.first_day > 0 then concat('until ', explained.first_day, ' days before')
            end,
            explained.operator,
            replace(explained.value, '|', case explained.operator when 'between' then ' and ' else ' or ' end)
        ) as clause,
        -- Personal values stay in restricted.customer_attributes.
        case
            when fields.is_restricted then 'withheld'
            when fields.value_type = 'segment' then 'joined ' || cast(explained.joined_date as varchar)
            else clause_values.value
        end as value,
        explained.value as threshold,
        case
            when fields.value_type = 'segment' then explained.is_member
            else coalesce(clause_values.is_met, false)
        end as is_met,
        explained.joined_date
    from explained
    inner join fields on explained.field = fields.field
    left join clause_values
        on
            explained.customer_number = clause_values.customer_number
            and explained.clause_word = clause_values.clause_word
            and explained.clause_bit = clause_values.clause_bit

),

assigned_by_hand as (

    select
        manual_spells.user_id,
        manual_spells.segment_key,
        manual_spells.customer_id,
        bool_or(manual_spells.left_date is null) as is_member,
        1 as group_number,
        1 as rule_number,
        'assigned by hand' as clause,
        cast(max(manual_spells.joined_date) as varchar) as value,
        cast(null as varchar) as threshold,
        bool_or(manual_spells.left_date is null) as is_met,
        max(manual_spells.joined_date) as joined_date
    from manual_spells
    inner join clock on manual_spells.user_id = clock.user_id
    where coalesce(manual_spells.left_date > {{ add_days('clock.as_of_date', -30) }}, true)
    group by manual_spells.user_id, manual_spells.segment_key, manual_spells.customer_id

),

all_rules as (

    select * from rules
    union all
    select * from assigned_by_hand

),

rows_with_keys as (

    select
        {{ surrogate_uuid(['user_id', 'segment_key', 'customer_id', 'group_number', 'rule_number']) }} as id,
        user_id,
        {{ surrogate_uuid(['user_id', 'segment_key']) }} as segment_id,
        customer_id,
        segment_key,
        clause,
        value,
        threshold,
        cast(group_number as integer) as group_number,
        cast(rule_number as integer) as rule_number,
        is_member,
        is_met,
        joined_date
    from all_rules

)

select * from rows_with_keys
