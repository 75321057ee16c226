with assignments as (

    select * from {{ ref('stg_segment_assignments') }}

),

clock as (

    select
        user_id,
        timezone
    from {{ ref('int_tenant_clock') }}

),

-- Rows of an unknown tenant stay: the audit names them, and they count as soon as the tenant is there.
dated as (

    select
        assignments.*,
        cast({{ local_time('assignments.assigned_at', "coalesce(clock.timezone, 'UTC')") }} as date) as assigned_date
    from assignments
    left join clock on assignments.user_id = clock.user_id

),

-- Of rows with the same time, the one landed last counts. Nobody is in a manual segment before the first row.
in_order as (

    select
        *,
        cast(row_number() over members as integer) as assignment_number,
        action <> coalesce(lag(action) over members, 'remove') as is_change,
        coalesce(lead(assigned_date) over members <> assigned_date, true) as is_last_of_date
    from dated
    window
        members as (
            partition by user_id, segment_key, customer_id
            order by assigned_at, load_id, file_id, record_number
        )

)

select * from in_order
