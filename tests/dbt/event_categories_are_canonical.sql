{{ config(meta={'dagster': {'ref': {'name': 'event_categories'}}}) }}

-- Aliases are resolved once: an alias of an alias, or one that is not in lower case, would never reach its canonical
-- name.
with categories as (

    select * from {{ ref('event_categories') }}

),

unresolved as (

    select categories.*
    from categories
    left join categories as further on categories.event_category = further.alias
    where
        further.alias is not null
        or categories.alias <> lower(trim(categories.alias))

)

select * from unresolved
