{{ config(meta={'dagster': {'ref': {'name': 'segment_rules'}}}) }}

-- A rule about another segment stands alone, and that segment has rules of its own kind: so there is no circle.
with last_versions as (

    select * from {{ ref('segments') }}
    qualify row_number() over (partition by segment_key order by since desc) = 1

),

rules as (

    select
        segment_rules.segment_key,
        segment_rules.since,
        count(*) as rule_count,
        max(segment_rules.subject) filter (where segment_rules.field = 'joined_segment') as subject
    from {{ ref('segment_rules') }} as segment_rules
    group by segment_rules.segment_key, segment_rules.since

),

derived as (

    select
        last_versions.segment_key,
        last_versions.since,
        last_versions.user_id,
        rules.rule_count,
        rules.subject
    from last_versions
    inner join rules on last_versions.segment_key = rules.segment_key and last_versions.since = rules.since
    where rules.subject is not null and last_versions.is_active

),

failures as (

    select
        derived.segment_key,
        derived.since,
        derived.subject
    from derived
    left join last_versions as subjects on derived.subject = subjects.segment_key
    left join rules as rules_of_subject
        on subjects.segment_key = rules_of_subject.segment_key and subjects.since = rules_of_subject.since
    where
        derived.rule_count > 1
        or subjects.segment_key is null
        or not subjects.is_active
        or not subjects.is_automatic
        or subjects.user_id not in ('*', derived.user_id)
        or rules_of_subject.subject is not null

)

select * from failures
