with definitions as (

    select * from {{ ref('int_segment_definitions') }}

),

criteria as (

    select * from {{ ref('int_segment_criteria') }}

),

spells as (

    select * from {{ ref('int_segment_spells') }}
    where left_date is null

),

clock as (

    select * from {{ ref('int_segment_clock') }}

),

versions_in_force as (

    select
        definitions.*,
        clock.timezone,
        clock.as_of_at
    from definitions
    inner join clock
        on
            definitions.user_id = clock.user_id
            and definitions.since <= clock.as_of_date
            and coalesce(definitions.until > clock.as_of_date, true)

),

all_versions as (

    select
        definitions.user_id,
        definitions.segment_key,
        md5(string_agg(definitions.version_hash, '|' order by definitions.since)) as versions_hash,
        {{ json_array_of(
            json_object({'since': 'definitions.since', 'hash': 'definitions.version_hash'}), 'definitions.since'
        ) }} as versions
    from definitions
    inner join clock on definitions.user_id = clock.user_id and definitions.since <= clock.as_of_date
    group by definitions.user_id, definitions.segment_key

),

sizes as (

    select
        user_id,
        segment_key,
        count(*) as member_count
    from spells
    group by user_id, segment_key

),

segments as (

    select
        versions_in_force.segment_id as id,
        versions_in_force.user_id,
        versions_in_force.name,
        versions_in_force.description,
        versions_in_force.segment_type,
        coalesce(criteria.criteria, cast('{}' as json)) as criteria,
        versions_in_force.is_active,
        cast(coalesce(sizes.member_count, 0) as integer) as member_count,
        {{ utc_instant('versions_in_force.first_since', 'versions_in_force.timezone') }} as created_at,
        versions_in_force.as_of_at as updated_at,
        versions_in_force.is_automatic,
        versions_in_force.segment_key,
        versions_in_force.family,
        versions_in_force.is_exclusive,
        versions_in_force.owner,
        versions_in_force.recommended_action,
        versions_in_force.channel,
        versions_in_force.since,
        all_versions.versions_hash,
        all_versions.versions
    from versions_in_force
    inner join all_versions
        on
            versions_in_force.user_id = all_versions.user_id
            and versions_in_force.segment_key = all_versions.segment_key
    left join criteria
        on
            versions_in_force.segment_key = criteria.segment_key
            and versions_in_force.since = criteria.since
    left join sizes
        on
            versions_in_force.user_id = sizes.user_id
            and versions_in_force.segment_key = sizes.segment_key

)

select * from segments
