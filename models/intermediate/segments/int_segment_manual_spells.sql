with assignments as (

    select * from {{ ref('int_segment_assignments') }}

),

definitions as (

    select
        user_id,
        segment_key,
        min(since) as active_from,
        coalesce(min(since) filter (where not is_active), date '9999-12-31') as active_until
    from {{ ref('int_segment_definitions') }}
    where not is_automatic
    group by user_id, segment_key

),

customers as (

    select
        user_id,
        customer_id,
        first_seen_date
    from {{ ref('customers') }}

),

-- A date is what it is at its end: of several actions on one date, the last.
last_actions as (

    select *
    from assignments
    qualify row_number() over (
        partition by user_id, segment_key, customer_id, assigned_date
        order by assigned_at desc, load_id desc, file_id desc, record_number desc
    ) = 1

),

effective_actions as (

    select *
    from last_actions
    qualify action is distinct from coalesce(
        lag(action) over (partition by user_id, segment_key, customer_id order by assigned_date), 'remove'
    )

),

action_spells as (

    select
        *,
        lead(assigned_date) over (partition by user_id, segment_key, customer_id order by assigned_date) as left_date
    from effective_actions

),

manual_spells as (

    select
        action_spells.user_id,
        action_spells.segment_key,
        action_spells.customer_id,
        greatest(action_spells.assigned_date, definitions.active_from, customers.first_seen_date) as joined_date,
        least(action_spells.left_date, definitions.active_until) as left_date
    from action_spells
    inner join definitions
        on action_spells.user_id = definitions.user_id and action_spells.segment_key = definitions.segment_key
    inner join customers
        on action_spells.user_id = customers.user_id and action_spells.customer_id = customers.customer_id
    where action_spells.action = 'add'

),

not_empty as (

    select * from manual_spells
    where joined_date < left_date

)

select * from not_empty
