{{ config(meta={'dagster': {'ref': {'name': 'segment_rules'}}}) }}

-- A rule whose operator or value does not fit its field would silently be met by nobody.
with rules as (

    select
        segment_rules.*,
        criteria_fields.value_type,
        criteria_fields.is_rankable,
        string_split(segment_rules.value, '|') as parts
    from {{ ref('segment_rules') }} as segment_rules
    left join {{ ref('criteria_fields') }} as criteria_fields on segment_rules.field = criteria_fields.field

),

operators as (

    select
        operators_of_type.value_type,
        unnest(string_split(operators_of_type.names, ' ')) as operator_name
    from (
        values
        ('number', '= != < <= > >= between in not_in is_null is_not_null top_percent bottom_percent'),
        ('flag', '= != is_null is_not_null'),
        ('text', '= != in not_in contains is_null is_not_null'),
        ('list', 'contains is_null is_not_null'),
        ('date', '= != < <= > >= between within_days anniversary_within_days is_null is_not_null'),
        ('event', '= != < <= > >= between'),
        ('segment', 'within_days')
    ) as operators_of_type (value_type, names)

),

judged as (

    select
        rules.*,
        operators.operator_name is not null as is_operator_of_type,
        rules.operator in ('top_percent', 'bottom_percent') as is_rank,
        rules.operator in ('within_days', 'anniversary_within_days') as is_in_days,
        rules.operator in ('is_null', 'is_not_null') as is_null_test
    from rules
    left join operators on rules.value_type = operators.value_type and rules.operator = operators.operator_name

),

failures as (

    select
        segment_key,
        since,
        group_number,
        rule_number,
        case
            when value_type is null then 'no such field'
            when not is_operator_of_type or (is_rank and not is_rankable) then 'operator does not fit'
            when is_null_test and value is not null then 'a value too many'
            when not is_null_test and value is null then 'no value'
            when list_contains(parts, '') then 'an empty element'
            when operator = 'between' and len(parts) <> 2 then 'not two ends'
            when operator not in ('between', 'in', 'not_in') and len(parts) > 1 then 'more than one value'
            when
                is_in_days and not coalesce(try_cast(value as integer) between 0 and 36600, false)
                then 'no number of days'
            when
                not is_in_days and value_type in ('number', 'event')
                and len(list_filter(parts, lambda part: coalesce(isfinite(try_cast(part as double)), false)))
                <> len(parts)
                then 'not a number'
            when is_rank and not (cast(value as double) > 0 and cast(value as double) <= 100) then 'no percentage'
            when value_type = 'flag' and value not in ('true', 'false') then 'not true or false'
            when
                not is_in_days and value_type = 'date'
                and len(list_filter(parts, lambda part: try_cast(part as date) is not null)) <> len(parts)
                then 'not a date'
            when
                operator = 'between' and value_type = 'date' and cast(parts[1] as date) > cast(parts[2] as date)
                then 'greater end first'
            when
                operator = 'between' and value_type in ('number', 'event')
                and cast(parts[1] as double) > cast(parts[2] as double)
                then 'greater end first'
        end as failure
    from judged

)

select * from failures
where failure is not null
