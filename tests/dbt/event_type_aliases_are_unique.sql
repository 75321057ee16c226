{{ config(meta={'dagster': {'ref': {'name': 'event_types'}}}) }}

-- A word that stood for two event types would double every event of that name in staging.
with event_types as (

    select * from {{ ref('event_types') }}

),

words as (

    select
        event_type,
        event_type as word
    from event_types

    union all

    select
        event_type,
        unnest(string_split(aliases, '|')) as word
    from event_types

),

ambiguous_words as (

    select
        word,
        count(*) as type_count
    from words
    group by word
    having count(*) > 1 or word <> lower(trim(word)) or word = ''

)

select * from ambiguous_words
