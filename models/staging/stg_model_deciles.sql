with model_deciles as (

    select * from {{ source('raw', 'model_deciles') }}

)

select * from model_deciles
