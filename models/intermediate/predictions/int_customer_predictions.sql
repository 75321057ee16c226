{{ config(materialized='table') }}

{#- What an upload of values replaces, as a whole: values of two sources in one row would contradict each other. -#}
{% set uploadable = [
    'predicted_ltv_1year', 'predicted_ltv_3year', 'predicted_ltv_5year', 'confidence_score', 'growth_potential'
] %}
{% set money = [] %}
{% for over in ['90_days', '1year', '3year', '5year'] %}
    {%- do money.extend([
        'expected_spend_' ~ over, 'expected_spend_' ~ over ~ '_low', 'expected_spend_' ~ over ~ '_high'
    ]) -%}
{% endfor %}

with customers as (

    select
        customers.user_id,
        customers.customer_id,
        summaries.total_purchases > 0 as is_buyer,
        case when summaries.total_purchases > 0 then greatest(summaries.total_spent, 0) end as net_to_date,
        clock.as_of_date,
        clock.as_of_at,
        clock.timezone
    from {{ ref('customers') }} as customers
    inner join {{ ref('customer_behavior_summary') }} as summaries
        on customers.user_id = summaries.user_id and customers.customer_id = summaries.customer_id
    inner join {{ ref('int_tenant_clock') }} as clock on customers.user_id = clock.user_id

),

predictions as (

    select * from {{ ref('int_customer_model_predictions') }}

),

scored_tenants as (

    select distinct user_id from predictions

),

uploads as (

    select uploaded.*
    from {{ ref('int_uploaded_spells') }} as uploaded
    inner join {{ ref('int_tenant_clock') }} as clock
        on
            uploaded.user_id = clock.user_id
            and uploaded.from_date <= clock.as_of_date
            and coalesce(uploaded.until_date > clock.as_of_date, true)

),

joined as (

    select
        customers.user_id,
        customers.customer_id,
        predictions.model_version,
        case
            when ltv_uploads.user_id is not null then 'uploaded'
            when predictions.predicted_ltv_1year is not null then 'model'
        end as ltv_source,
        case
            when churn_uploads.user_id is not null then 'uploaded'
            when predictions.churn_probability is not null then 'model'
        end as churn_source,
        case
            when predictions.user_id is not null then predictions.no_prediction_reason
            when scored_tenants.user_id is null then 'no model yet'
            when not customers.is_buyer then 'no purchase yet'
            else 'not scored yet'
        end as no_model_reason,
        coalesce(ltv_uploads.current_ltv, predictions.current_ltv, customers.net_to_date) as current_ltv,
        {%- for column in uploadable %}
            case when ltv_uploads.user_id is null then predictions.{{ column }} else ltv_uploads.{{ column }} end
                as {{ column }},
        {%- endfor %}
        {%- for column in money %}
            predictions.{{ column }},
        {%- endfor %}
        predictions.expected_purchases_90_days,
        predictions.purchase_probability_30_days,
        predictions.purchase_probability_90_days,
        case
            when churn_uploads.user_id is null then predictions.churn_probability
            else churn_uploads.churn_probability
        end as churn_probability,
        case when churn_uploads.user_id is null then predictions.churn_horizon_days end as churn_horizon_days,
        predictions.validated_horizon_days,
        predictions.is_cold_start,
        predictions.is_extrapolated,
        predictions.expected_next_order_date,
        customers.as_of_date,
        predictions.predicted_at,
        ltv_uploads.updated_at as ltv_uploaded_at,
        churn_uploads.updated_at as churn_uploaded_at,
        {{ utc_instant(
            add_days('least(predictions.first_predicted_date, ltv_uploads.first_date, churn_uploads.first_date)', 1),
            'customers.timezone'
        ) }} as first_predicted_at,
        customers.as_of_at
    from customers
    left join scored_tenants on customers.user_id = scored_tenants.user_id
    left join predictions
        on customers.user_id = predictions.user_id and customers.customer_id = predictions.customer_id
    left join uploads as ltv_uploads
        on
            customers.user_id = ltv_uploads.user_id
            and customers.customer_id = ltv_uploads.customer_id
            and ltv_uploads.kind = 'ltv'
    left join uploads as churn_uploads
        on
            customers.user_id = churn_uploads.user_id
            and customers.customer_id = churn_uploads.customer_id
            and churn_uploads.kind = 'churn'

)

select * from joined
