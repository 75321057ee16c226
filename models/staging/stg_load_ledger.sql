with load_ledger as (

    select * from {{ source('raw', 'load_ledger') }}

)

select * from load_ledger
