with model_metrics as (

    select * from {{ source('raw', 'model_metrics') }}

)

select * from model_metrics
