{{ config(materialized='table') }}

with sessions as (

    select * from {{ ref('int_sessions') }}

),

channels as (

    select * from {{ ref('channel_groups') }}

),

-- Rules are matched once per combination of sources, of which there are few, not once per session.
combinations as (

    select distinct sources from sessions

),

with_channels as (

    select
        combinations.sources,
        coalesce(arg_min(channels.channel, channels.priority), 'unknown') as channel
    from combinations
    left join channels
        on regexp_matches(
            nullif(regexp_extract(combinations.sources, '(^|\|)' || channels.field || '=([^|]*)', 2), ''),
            channels.pattern
        )
    group by combinations.sources

)

select * from with_channels
