{{ config(meta={'dagster': {'ref': {'name': 'event_categories'}}}) }}

-- Aliases are resolved once: an alias of an alias, or one that is not in lower case, would never reach its canonical name.
with categories as (

    select * from {{ ref('event_categories') }}

),

unresolved as (

    select *
    from categories
    where
        event_category in (select alias from categories)
        or alias <> lower(trim(alias))

)

select * from unresolved
