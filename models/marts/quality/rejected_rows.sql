with rejected_rows as (

    select
        feed,
        path,
        rule,
        detail,
        file_id,
        load_id,
        record_number,
        rejected_at
    from {{ ref('stg_rejected_rows') }}
    where feed <> 'events'

),

-- Whether a customer exists is known once all feeds are in, and may change: such rows are in no quarantine.
unknown_scores as (

    select
        feed,
        path,
        broken_rule as rule, -- noqa: RF04
        detail,
        file_id,
        load_id,
        record_number,
        loaded_at as rejected_at
    from {{ ref('int_unknown_scores') }}

),

all_rows as (

    select * from rejected_rows
    union all
    select * from unknown_scores

),

described as (

    select
        {{ surrogate_uuid(['file_id', 'record_number']) }} as id,
        *
    from all_rows

)

select * from described
