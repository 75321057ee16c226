{#- Horizons over which something is predicted, besides the recording's own churn horizon: days. -#}
{% set horizons = [30, 90, 365, 1095, 1825] %}

with clock as (

    select * from {{ ref('int_tenant_clock') }}

),

recordings as (

    select * from {{ ref('int_prediction_recordings') }}

),

recorded as (

    select distinct
        recording_id,
        horizon_days
    from {{ ref('stg_prediction_outcomes') }}

),

horizons as (

    select
        recording_id,
        churn_horizon_days as horizon_days
    from recordings
    where churn_horizon_days is not null
    {% for horizon in horizons %}
        union
        select
            recording_id,
            {{ horizon }} as horizon_days
        from recordings
    {% endfor %}

),

-- Closed since the last time that outcomes were recorded.
closings as (

    select
        recordings.recording_id,
        recordings.user_id,
        recordings.as_of_date,
        recordings.churn_horizon_days,
        horizons.horizon_days,
        {{ add_days('recordings.as_of_date', 'horizons.horizon_days') }} as closed_date
    from recordings
    inner join clock on recordings.user_id = clock.user_id
    inner join horizons on recordings.recording_id = horizons.recording_id
    left join recorded
        on horizons.recording_id = recorded.recording_id and horizons.horizon_days = recorded.horizon_days
    where
        recorded.recording_id is null
        and {{ add_days('recordings.as_of_date', 'horizons.horizon_days') }} <= clock.as_of_date

)

select * from closings
