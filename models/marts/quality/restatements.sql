-- A view: the rows of a release are written while it is published, after the models were built.
{{ config(materialized='view') }}

with restatements as (

    select * from {{ ref('stg_restatements') }}

),

described as (

    select
        user_id,
        release_id,
        previous_release_id,
        segment_key,
        figure,
        cause,
        load_id,
        old_value,
        new_value,
        date,
        restated_at
    from restatements

)

select * from described
