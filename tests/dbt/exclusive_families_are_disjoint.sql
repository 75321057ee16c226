{{ config(meta={'dagster': {'ref': {'name': 'segments'}}}) }}

-- In an exclusive family every segment asks for values of the same field, no value is in two, and those of family rfm
-- are all that field rfm_segment has.
with last_versions as (

    select * from {{ ref('segments') }}
    qualify row_number() over (partition by segment_key order by since desc) = 1

),

families as (

    select
        family,
        bool_or(is_exclusive) as is_exclusive
    from last_versions
    where is_active
    group by family
    having bool_or(is_exclusive)

),

rules as (

    select
        last_versions.family,
        last_versions.segment_key,
        last_versions.is_exclusive,
        segment_rules.rule_number,
        segment_rules.field,
        segment_rules.operator,
        unnest(string_split(segment_rules.value, '|')) as field_value
    from last_versions
    inner join families on last_versions.family is not distinct from families.family
    left join {{ ref('segment_rules') }} as segment_rules
        on last_versions.segment_key = segment_rules.segment_key and last_versions.since = segment_rules.since
    where last_versions.is_active

),

failures as (

    select
        family as family_name,
        'not all by = or in of one field' as failure
    from rules
    group by family
    having
        not bool_and(is_exclusive and operator in ('=', 'in') and rule_number = 1)
        or count(distinct field) > 1
        or family is null
    union all
    select
        family as family_name,
        field_value as failure
    from rules
    group by family, field_value
    having count(distinct segment_key) > 1
    union all
    select
        'rfm' as family_name,
        rfm_segments.segment as failure
    from {{ ref('rfm_segments') }} as rfm_segments
    left join rules
        on rules.family = 'rfm' and rules.field = 'rfm_segment' and rfm_segments.segment = rules.field_value
    where rules.field_value is null

)

select * from failures
