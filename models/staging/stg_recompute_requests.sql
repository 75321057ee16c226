with recompute_requests as (

    select * from {{ source('raw', 'recompute_requests') }}

)

select * from recompute_requests
