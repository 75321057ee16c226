-- What a date's states know of predictions, as one value: a date whose value differs from the one that its memberships
-- were decided by is due. A recording never changes, so that its number stands for its rows.
with clock as (

    select * from {{ ref('int_segment_clock') }}

),

recordings as (

    select * from {{ ref('int_prediction_recordings') }}

),

uploads as (

    select
        user_id,
        from_date,
        bit_xor(hash(customer_id, kind, churn_probability, predicted_ltv_1year, from_date)) as uploads_hash
    from {{ ref('int_uploaded_spells') }}
    group by user_id, from_date

),

calendar as (

    select
        user_id,
        {{ unnest_days('history_from', 'as_of_date') }} as evaluation_date
    from clock

),

uploaded_by_then as (

    select
        calendar.user_id,
        calendar.evaluation_date,
        bit_xor(uploads.uploads_hash) as uploads_hash
    from calendar
    inner join uploads on calendar.user_id = uploads.user_id and calendar.evaluation_date >= uploads.from_date
    group by calendar.user_id, calendar.evaluation_date

),

in_force as (

    select
        calendar.user_id,
        calendar.evaluation_date,
        nullif(concat_ws('|', recordings.recording_id, uploaded_by_then.uploads_hash), '') as predictions_hash
    from calendar
    left join recordings
        on
            calendar.user_id = recordings.user_id
            and calendar.evaluation_date >= recordings.as_of_date
            and coalesce(calendar.evaluation_date < recordings.until_date, true)
    left join uploaded_by_then
        on
            calendar.user_id = uploaded_by_then.user_id
            and calendar.evaluation_date = uploaded_by_then.evaluation_date

)

select * from in_force
