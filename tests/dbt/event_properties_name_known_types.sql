{{ config(meta={'dagster': {'ref': {'name': 'event_properties'}}}) }}

-- A property of a misspelt event type would be documented for events that nobody sends.
with properties as (

    select
        property,
        unnest(string_split(event_types, '|')) as event_type
    from {{ ref('event_properties') }}

),

event_types as (

    select * from {{ ref('event_types') }}

),

unknown_types as (

    select properties.*
    from properties
    left join event_types on properties.event_type = event_types.event_type
    where event_types.event_type is null

)

select * from unknown_types
