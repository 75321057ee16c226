{{ config(materialized='table') }}

{#- Bits of a word: the 63rd is the sign. -#}
{% set segments_per_word = 62 %}

with segments as (

    select * from {{ ref('segments') }}

),

tenants as (

    select user_id from {{ ref('int_tenants') }}

),

rule_texts as (

    select
        segment_key,
        since,
        string_agg(
            concat_ws(
                '|',
                group_number,
                field,
                subject,
                operator,
                value,
                match_key,
                match_value,
                sum_property,
                first_day,
                last_day
            ),
            ';' order by group_number, rule_number
        ) as rules_text
    from {{ ref('segment_rules') }}
    group by segment_key, since

),

versions as (

    select
        segments.*,
        lead(segments.since) over (partition by segments.segment_key order by segments.since) as until,
        min(segments.since) over (partition by segments.segment_key) as first_since,
        md5(concat_ws(
            '|', segments.segment_key, segments.since, segments.is_active, segments.is_automatic,
            coalesce(rule_texts.rules_text, '')
        )) as version_hash
    from segments
    left join rule_texts on segments.segment_key = rule_texts.segment_key and segments.since = rule_texts.since

),

-- A version that holds for every tenant is every tenant's own.
by_tenant as (

    select
        tenants.user_id,
        {{ surrogate_uuid(['tenants.user_id', 'versions.segment_key']) }} as segment_id,
        versions.* exclude (user_id), -- noqa: RF02
        dense_rank() over (
            partition by tenants.user_id, versions.is_automatic
            order by versions.segment_key
        ) - 1 as place
    from versions
    inner join tenants on versions.user_id in ('*', tenants.user_id)

),

-- Words are numbered over all tenants: a state's words find their segments by number alone.
with_bits as (

    select
        * exclude (place),
        dense_rank() over (order by is_automatic desc, user_id asc, {{ integer_division('place', segments_per_word) }})
            as segment_word,
        cast(1 as bigint) << cast(place % {{ segments_per_word }} as integer) as segment_bit
    from by_tenant

)

select * from with_bits
