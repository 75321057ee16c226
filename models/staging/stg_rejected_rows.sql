with rejected_rows as (

    select * from {{ source('raw', 'rejected_rows') }}

)

select * from rejected_rows
