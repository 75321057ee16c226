with automatic_spells as (

    select * from {{ ref('int_segment_automatic_spells') }}
    where not is_joined_before_history

),

clauses as (

    select * from {{ ref('int_segment_clauses') }}
    where value_type = 'segment'

),

-- Who joined the other segment is a member for some days, unless that membership ends before, or the definition does.
by_version as (

    select
        automatic_spells.user_id,
        clauses.segment_key,
        automatic_spells.customer_id,
        greatest(automatic_spells.joined_date, clauses.since) as joined_date,
        least(
            automatic_spells.left_date,
            {{ add_days('automatic_spells.joined_date', 'cast(clauses.value as integer)') }},
            clauses.until_date
        ) as left_date
    from automatic_spells
    inner join clauses
        on automatic_spells.user_id = clauses.user_id and automatic_spells.segment_key = clauses.subject

),

-- A membership that goes on under the next version is one.
starts_marked as (

    select
        *,
        coalesce(joined_date > lag(left_date) over timeline, true) as is_start
    from by_version
    where joined_date < left_date
    window timeline as (partition by user_id, segment_key, customer_id order by joined_date)

),

numbered as (

    select
        *,
        sum(cast(is_start as integer)) over (
            partition by user_id, segment_key, customer_id
            order by joined_date
            rows unbounded preceding
        ) as spell_number
    from starts_marked

),

derived_spells as (

    select
        user_id,
        segment_key,
        customer_id,
        min(joined_date) as joined_date,
        max(left_date) as left_date
    from numbered
    group by user_id, segment_key, customer_id, spell_number

)

select * from derived_spells
