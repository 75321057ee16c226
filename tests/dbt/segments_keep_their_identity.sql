{{ config(meta={'dagster': {'ref': {'name': 'segments'}}}) }}

-- Versions change what a segment asks for, not whose it is, and not whether rules or people decide. No reader meets two
-- segments of the same name.
with segments as (

    select * from {{ ref('segments') }}

),

last_versions as (

    select * from segments
    qualify row_number() over (partition by segment_key order by since desc) = 1

),

changed as (

    select segment_key
    from segments
    group by segment_key
    having
        count(distinct user_id) > 1
        or count(distinct is_automatic) > 1
        or not regexp_full_match(segment_key, '[a-z][a-z0-9_]{0,62}')

),

of_same_name as (

    select one.segment_key
    from last_versions as one
    inner join last_versions as other
        on
            lower(one.name) = lower(other.name)
            and one.segment_key <> other.segment_key
            and (one.user_id = other.user_id or '*' in (one.user_id, other.user_id))
    where one.is_active and other.is_active

),

failures as (

    select * from changed
    union all
    select * from of_same_name

)

select * from failures
