with rules as (

    select * from {{ ref('segment_rules') }}

),

fields as (

    select * from {{ ref('criteria_fields') }}

),

-- What a rule does not say is null, which reading takes for absent.
rule_objects as (

    select
        rules.segment_key,
        rules.since,
        rules.group_number,
        rules.rule_number,
        {{ json_object({
            'field': 'rules.field',
            'subject': 'rules.subject',
            'operator': 'rules.operator',
            'value': rule_value_json('rules', 'fields.value_type'),
            'match_key': 'rules.match_key',
            'match_value': 'rules.match_value',
            'sum_property': 'rules.sum_property',
            'first_day': 'rules.first_day',
            'last_day': 'rules.last_day'
        }) }} as rule_object
    from rules
    inner join fields on rules.field = fields.field

),

groups as (

    select
        segment_key,
        since,
        group_number,
        {{ json_object({'all': json_array_of('rule_object', 'rule_number')}) }} as group_object
    from rule_objects
    group by segment_key, since, group_number

),

criteria as (

    select
        segment_key,
        since,
        case
            when count(*) = 1 then min(group_object)
            else {{ json_object({'any': json_array_of('group_object', 'group_number')}) }}
        end as criteria
    from groups
    group by segment_key, since

)

select * from criteria
