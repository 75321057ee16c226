with prediction_recordings as (

    select * from {{ source('raw', 'prediction_recordings') }}

)

select * from prediction_recordings
