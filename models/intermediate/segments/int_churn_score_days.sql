-- Days that are over on which a customer had a churn score, or was to have none, with the band that it was in.
with clock as (

    select * from {{ ref('int_tenant_clock') }}

),

recordings as (

    select
        *,
        min(as_of_date) over (partition by user_id) as first_date
    from {{ ref('int_prediction_recordings') }}

),

-- Before the history of memberships nothing is asked.
recordings_in_history as (

    select recordings.*
    from recordings
    inner join {{ ref('int_segment_clock') }} as segment_clock
        on recordings.user_id = segment_clock.user_id and recordings.until_date > segment_clock.history_from

),

overridable as (

    select distinct grid_segment from {{ ref('segment_overrides') }}

),

-- Of other customers churn decides nothing: what was predicted of them need not be read.
customers as (

    select
        finals.user_id,
        finals.customer_id
    from {{ ref('int_final_segments') }} as finals
    inner join overridable on finals.rfm_segment = overridable.grid_segment

),

uploads as (

    select * from {{ ref('int_uploaded_spells') }}
    where kind = 'churn'

),

first_uploads as (

    select distinct
        user_id,
        customer_id,
        first_date
    from uploads

),

predictions as (

    select
        recording_id,
        user_id,
        customer_id,
        churn_probability
    from {{ ref('stg_predictions') }}

),

first_recordings as (

    select distinct
        user_id,
        first_date
    from recordings

),

-- An uploaded score never ends but by the next one: the model counts until the first.
spans as (

    select
        predictions.user_id,
        predictions.customer_id,
        predictions.churn_probability,
        recordings_in_history.as_of_date as from_date,
        least(recordings_in_history.until_date, first_uploads.first_date) as until_date
    from predictions
    inner join recordings_in_history on predictions.recording_id = recordings_in_history.recording_id
    left join first_uploads
        on predictions.user_id = first_uploads.user_id and predictions.customer_id = first_uploads.customer_id

    union all

    select
        user_id,
        customer_id,
        churn_probability,
        from_date,
        until_date
    from uploads

    union all

    select
        customers.user_id,
        customers.customer_id,
        null as churn_probability,
        date '0001-01-01' as from_date,
        least(first_recordings.first_date, first_uploads.first_date) as until_date
    from customers
    left join first_recordings on customers.user_id = first_recordings.user_id
    left join first_uploads
        on customers.user_id = first_uploads.user_id and customers.customer_id = first_uploads.customer_id

),

score_days as (

    select
        spans.user_id,
        spans.customer_id,
        bands.band as churn_risk_level,
        spans.until_date
    from spans
    inner join customers on spans.user_id = customers.user_id and spans.customer_id = customers.customer_id
    inner join clock on spans.user_id = clock.user_id and spans.until_date <= clock.as_of_date
    left join {{ ref('churn_bands') }} as bands
        on bands.scheme = 'four_band' and {{ is_in_band('spans.churn_probability', 'bands') }}
    where spans.from_date < spans.until_date

)

select * from score_days
