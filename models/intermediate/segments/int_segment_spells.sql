{{ config(materialized='table') }}

with clock as (

    select * from {{ ref('int_segment_clock') }}

),

automatic_spells as (

    select * from {{ ref('int_segment_automatic_spells') }}

),

derived_spells as (

    select * from {{ ref('int_segment_derived_spells') }}

),

manual_spells as (

    select * from {{ ref('int_segment_manual_spells') }}

),

all_spells as (

    select
        user_id,
        segment_key,
        customer_id,
        'automatic' as assignment_type,
        joined_date,
        left_date,
        is_joined_before_history
    from automatic_spells

    union all

    select
        user_id,
        segment_key,
        customer_id,
        'automatic' as assignment_type,
        joined_date,
        left_date,
        false as is_joined_before_history
    from derived_spells

    union all

    select
        user_id,
        segment_key,
        customer_id,
        'manual' as assignment_type,
        joined_date,
        left_date,
        false as is_joined_before_history
    from manual_spells

),

-- What ends after the as-of date has not ended yet.
spells as (

    select
        all_spells.* replace (
            case when all_spells.left_date <= clock.as_of_date then all_spells.left_date end as left_date
        )
    from all_spells
    inner join clock on all_spells.user_id = clock.user_id and all_spells.joined_date <= clock.as_of_date

)

select * from spells
