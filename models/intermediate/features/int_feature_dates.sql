{%- set origin_step_days = 15 %}
{%- set recent_origins = 12 %}
{%- set year_days = 365 %}
{#- An origin with less history teaches nothing: no model is made below it either. -#}
{%- set least_history_days = 60 %}

{{ config(materialized='table') }}

with clock as (

    select * from {{ ref('int_tenant_clock') }}

),

tenants as (

    select * from {{ ref('int_tenants') }}

),

customer_days as (

    select * from {{ ref('int_feature_days') }}
    where purchase_date is not null

),

histories as (

    select
        user_id,
        min(purchase_date) as first_purchase_date
    from customer_days
    group by user_id

),

bounds as (

    select
        clock.user_id,
        clock.as_of_date,
        tenants.churn_horizon_days,
        histories.first_purchase_date
    from clock
    inner join tenants on clock.user_id = tenants.user_id
    inner join histories on clock.user_id = histories.user_id

),

-- How many days before as_of_date an origin lies; beside the near ones two far ones, for the one-year horizon.
origins as (

    {% for origin in range(recent_origins) %}
        select
            user_id,
            {{ add_days('as_of_date', '- churn_horizon_days - ' ~ origin * origin_step_days) }} as feature_date
        from bounds
        union
    {% endfor %}
    select
        user_id,
        {{ add_days('as_of_date', -year_days) }} as feature_date
    from bounds
    union
    select
        user_id,
        {{ add_days('as_of_date', -year_days ~ ' - churn_horizon_days') }} as feature_date
    from bounds

),

origins_with_history as (

    select
        origins.user_id,
        origins.feature_date
    from origins
    inner join bounds on origins.user_id = bounds.user_id
    where origins.feature_date >= {{ add_days('bounds.first_purchase_date', least_history_days) }}

),

asked_for as (

    {% for date in var('feature_dates') %}
        select
            user_id,
            cast('{{ date }}' as date) as feature_date
        from bounds
        where cast('{{ date }}' as date) between first_purchase_date and as_of_date
        union
    {% endfor %}
    select
        user_id,
        as_of_date as feature_date
    from bounds

),

all_dates as (

    select * from origins_with_history
    union
    select * from asked_for

),

feature_dates as (

    select
        all_dates.user_id,
        all_dates.feature_date,
        all_dates.feature_date = bounds.as_of_date as is_current
    from all_dates
    inner join bounds on all_dates.user_id = bounds.user_id

)

select * from feature_dates
