with organizations as (

    select * from {{ ref('stg_organizations') }}

),

settings as (

    select * from {{ ref('tenant_settings') }}

),

-- A tenant's own row wins over the row of `*`, also where it is empty (no limit).
settings_by_tenant as (

    select
        organizations.user_id,
        settings.setting,
        arg_max_null(cast(settings.value as integer), settings.user_id = organizations.user_id) as setting_value
    from organizations
    inner join settings on settings.user_id in ('*', organizations.user_id)
    group by organizations.user_id, settings.setting

),

settings_in_columns as (

    select
        user_id,
        max(setting_value) filter (where setting = 'session_timeout_minutes') as session_timeout_minutes,
        max(setting_value) filter (where setting = 'session_cut_hour') as session_cut_hour,
        max(setting_value) filter (where setting = 'active_days') as active_days,
        max(setting_value) filter (where setting = 'at_risk_days') as at_risk_days,
        max(setting_value) filter (where setting = 'churned_days') as churned_days,
        max(setting_value) filter (where setting = 'new_customer_days') as new_customer_days,
        max(setting_value) filter (where setting = 'rfm_window_days') as rfm_window_days,
        max(setting_value) filter (where setting = 'engagement_window_days') as engagement_window_days,
        max(setting_value) filter (where setting = 'segment_history_days') as segment_history_days,
        max(setting_value) filter (where setting = 'churn_horizon_days') as churn_horizon_days,
        max(setting_value) filter (where setting = 'discount_rate_percent') as discount_rate_percent
    from settings_by_tenant
    group by user_id

),

tenants as (

    select
        organizations.user_id,
        organizations.org_type,
        organizations.timezone,
        organizations.currency,
        organizations.gross_margin_rate,
        organizations.last_loaded_at,
        settings_in_columns.session_timeout_minutes,
        settings_in_columns.session_cut_hour,
        settings_in_columns.active_days,
        settings_in_columns.at_risk_days,
        settings_in_columns.churned_days,
        settings_in_columns.new_customer_days,
        settings_in_columns.rfm_window_days,
        settings_in_columns.engagement_window_days,
        settings_in_columns.segment_history_days,
        settings_in_columns.churn_horizon_days,
        settings_in_columns.discount_rate_percent
    from organizations
    inner join settings_in_columns on organizations.user_id = settings_in_columns.user_id

)

select * from tenants
