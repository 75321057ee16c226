{{ config(meta={'published_by': 'joined_date', 'published_when': 'changed'}) }}

with spells as (

    select * from {{ ref('int_segment_spells') }}

),

clock as (

    select * from {{ ref('int_segment_clock') }}

),

members as (

    select
        {{ surrogate_uuid(['spells.user_id', 'spells.segment_key', 'spells.customer_id', 'spells.joined_date']) }}
            as id,
        spells.user_id,
        {{ surrogate_uuid(['spells.user_id', 'spells.segment_key']) }} as segment_id,
        spells.customer_id,
        {{ utc_instant('spells.joined_date', 'clock.timezone') }} as joined_at,
        {{ utc_instant('spells.left_date', 'clock.timezone') }} as left_at,
        spells.segment_key,
        spells.assignment_type,
        spells.left_date is null as is_current,
        spells.is_joined_before_history,
        spells.joined_date,
        spells.left_date
    from spells
    inner join clock on spells.user_id = clock.user_id

)

select * from members
