with rejected_rows as (

    select * from {{ ref('stg_rejected_rows') }}
    where feed <> 'events'

),

described as (

    select
        {{ surrogate_uuid(['file_id', 'record_number']) }} as id,
        feed,
        path,
        rule,
        detail,
        file_id,
        load_id,
        record_number,
        rejected_at
    from rejected_rows

)

select * from described
