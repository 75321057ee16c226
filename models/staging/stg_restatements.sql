with restatements as (

    select * from {{ source('raw', 'restatements') }}

)

select * from restatements
