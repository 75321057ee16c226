with clock as (

    select * from {{ ref('int_segment_clock') }}

),

spells as (

    select * from {{ ref('int_segment_spells') }}

),

memberships as (

    select
        spells.user_id,
        spells.segment_key,
        spells.customer_id,
        spells.assignment_type,
        spells.joined_date < clock.history_from or spells.is_joined_before_history as is_joined_before_history,
        greatest(spells.joined_date, clock.history_from) as member_from,
        case when spells.left_date <= clock.as_of_date then spells.left_date end as member_until
    from spells
    inner join clock on spells.user_id = clock.user_id
    where
        spells.joined_date <= clock.as_of_date
        and (spells.left_date is null or spells.left_date > clock.history_from)

)

select * from memberships
