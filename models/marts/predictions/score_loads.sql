with files as (

    select * from {{ ref('stg_load_ledger') }}
    where feed in ('churn_scores', 'ltv_predictions')
    -- What was refused, and then accepted or mended, counts as what became of it.
    qualify
        state in ('pending', 'published')
        or (state = 'refused' and file_id = max(file_id) over (partition by feed, path))

),

unknown as (

    select
        file_id,
        count(*) as row_count
    from {{ ref('int_unknown_scores') }}
    group by file_id

),

spells as (

    select
        spells.file_id,
        count(distinct spells.record_number) as row_count
    from {{ ref('int_uploaded_spells') }} as spells
    inner join {{ ref('customers') }} as customers
        on spells.user_id = customers.user_id and spells.customer_id = customers.customer_id
    inner join {{ ref('int_tenant_clock') }} as clock
        on
            spells.user_id = clock.user_id
            and spells.from_date <= clock.as_of_date
            and coalesce(spells.until_date > clock.as_of_date, true)
    group by spells.file_id

),

-- Of a refused file nothing was loaded, whatever its rows are like.
counted as (

    select
        files.file_id,
        files.feed,
        files.path,
        files.state,
        files.load_id,
        files.row_count as received_count,
        case
            when files.state = 'refused' then 0
            else files.kept_count + files.duplicate_count - coalesce(unknown.row_count, 0)
        end as accepted_count,
        coalesce(unknown.row_count, 0) as unknown_customer_count,
        coalesce(spells.row_count, 0) as in_force_count,
        files.loaded_at
    from files
    left join unknown on files.file_id = unknown.file_id
    left join spells on files.file_id = spells.file_id

),

score_loads as (

    select
        {{ surrogate_uuid(['file_id']) }} as id,
        feed,
        path,
        state,
        file_id,
        load_id,
        received_count,
        accepted_count,
        received_count - accepted_count as rejected_count,
        received_count - accepted_count - unknown_customer_count as bad_row_count,
        unknown_customer_count,
        in_force_count,
        accepted_count / nullif(received_count, 0) as accepted_rate,
        loaded_at
    from counted

)

select * from score_loads
