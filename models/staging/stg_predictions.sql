with predictions as (

    select * from {{ source('raw', 'predictions') }}

)

select * from predictions
