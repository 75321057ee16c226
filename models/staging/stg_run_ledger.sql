with run_ledger as (

    select * from {{ source('raw', 'run_ledger') }}

)

select * from run_ledger
