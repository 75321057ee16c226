{{ config(meta={'dagster': {'ref': {'name': 'event_types'}}}) }}

-- A word that stood for two event types would double every event of that name in staging.
with event_types as (

    select * from {{ ref('event_types') }}

),

names as (

    select
        event_type,
        event_type as name
    from event_types

    union all

    select
        event_type,
        unnest(string_split(aliases, '|')) as name
    from event_types

),

ambiguous_names as (

    select
        name,
        count(*) as type_count
    from names
    group by name
    having count(*) > 1 or name <> lower(trim(name)) or name = ''

)

select * from ambiguous_names
