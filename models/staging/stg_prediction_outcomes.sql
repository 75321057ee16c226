with prediction_outcomes as (

    select * from {{ source('raw', 'prediction_outcomes') }}

)

select * from prediction_outcomes
