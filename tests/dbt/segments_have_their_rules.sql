{{ config(meta={'dagster': {'ref': {'name': 'segments'}}}) }}

-- Every active automatic version has rules, numbered without gaps, of a group no more than int_segment_clauses has bits
-- for; a manual one has none; no rule is of no version.
with versions as (

    select * from {{ ref('segments') }}

),

rules as (

    select
        segment_key,
        since,
        count(*) as rule_count,
        min(group_number) as first_group,
        max(group_number) - count(distinct group_number) as missing_groups
    from {{ ref('segment_rules') }}
    group by segment_key, since

),

gaps as (

    select
        segment_key,
        since,
        group_number
    from {{ ref('segment_rules') }}
    group by segment_key, since, group_number
    having min(rule_number) <> 1 or max(rule_number) <> count(*) or count(*) > 20

),

failures as (

    select
        segment_key,
        since,
        'no such version' as failure
    from rules
    left join versions using (segment_key, since)
    where versions.name is null
    union all
    select
        segment_key,
        since,
        'automatic without rules' as failure
    from versions
    left join rules using (segment_key, since)
    where versions.is_active and versions.is_automatic and rules.rule_count is null
    union all
    select
        segment_key,
        since,
        'manual with rules' as failure
    from versions
    inner join rules using (segment_key, since)
    where not versions.is_automatic
    union all
    select
        segment_key,
        since,
        'groups are not numbered from 1' as failure
    from rules
    where first_group <> 1 or missing_groups <> 0
    union all
    select
        segment_key,
        since,
        'rules are not numbered from 1 to at most 20' as failure
    from gaps

)

select * from failures
