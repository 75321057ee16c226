{{ config(meta={'dagster': {'ref': {'name': 'segment_rules'}}}) }}

-- What nobody sends is never counted: event types, properties and windows of event rules exist; other rules have none.
with rules as (

    select
        segment_rules.*,
        criteria_fields.value_type = 'event' as is_event_rule,
        criteria_fields.value_type = 'segment' as is_segment_rule
    from {{ ref('segment_rules') }} as segment_rules
    inner join {{ ref('criteria_fields') }} as criteria_fields on segment_rules.field = criteria_fields.field

),

event_types as (

    select event_type from {{ ref('event_types') }}

),

properties as (

    select
        property,
        value_type,
        unnest(string_split(event_types, '|')) as event_type
    from {{ ref('event_properties') }}

),

failures as (

    select
        rules.segment_key,
        rules.since,
        rules.group_number,
        rules.rule_number,
        case
            when not rules.is_event_rule and (
                coalesce(rules.match_key, rules.match_value, rules.sum_property) is not null
                or coalesce(rules.first_day, rules.last_day) is not null
                or (rules.subject is not null) <> rules.is_segment_rule
            ) then 'columns of an event rule'
            when not rules.is_event_rule then null
            when event_types.event_type is null then 'no such event type'
            when (rules.match_key is null) <> (rules.match_value is null) then 'half a match'
            when
                rules.match_key not in ('category', 'product', 'brand')
                and coalesce(matching.value_type, 'array') = 'array'
                then 'no such match_key'
            when rules.match_value <> lower(rules.match_value) then 'match_value not in lower case'
            when rules.sum_property is not null and rules.field <> 'event_sum' then 'nothing is added up'
            when
                rules.sum_property is not null and coalesce(adding.value_type, 'text') <> 'number'
                then 'no such sum_property'
            when rules.first_day is null or rules.first_day < 0 or rules.last_day < rules.first_day then 'no window'
        end as failure
    from rules
    left join event_types on rules.subject = event_types.event_type
    left join properties as matching on rules.subject = matching.event_type and rules.match_key = matching.property
    left join properties as adding on rules.subject = adding.event_type and rules.sum_property = adding.property

)

select * from failures
where failure is not null
