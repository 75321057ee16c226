{{ config(meta={'dagster': {'ref': {'name': 'channel_groups'}}}) }}

-- A pattern that is no regular expression stops the build of sessions; here the rule is named instead. One that matches
-- the empty text matches every session.
with channel_groups as (

    select * from {{ ref('channel_groups') }}

),

tried as (

    select
        *,
        try(regexp_matches('', pattern)) as matches_empty_text
    from channel_groups

),

broken_patterns as (

    select * from tried
    where coalesce(matches_empty_text, true)

)

select * from broken_patterns
