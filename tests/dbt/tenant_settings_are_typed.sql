{{ config(meta={'dagster': {'ref': {'name': 'tenant_settings'}}}) }}

-- The seed's values are texts, because one column holds all settings: here each gets its type, its bounds and its
-- default row.
with settings as (

    select * from {{ ref('tenant_settings') }}

),

bounds (setting, lowest, highest, may_be_empty) as (

    values
    ('session_timeout_minutes', 1, 24 * 60, false),
    ('session_cut_hour', 0, 23, false),
    ('active_days', 1, 3660, false),
    ('at_risk_days', 1, 3660, false),
    ('churned_days', 1, 3660, false),
    ('new_customer_days', 0, 3660, false),
    ('rfm_window_days', 1, 36600, true),
    ('engagement_window_days', 1, 3660, false),
    ('segment_history_days', 1, 3660, false),
    ('churn_horizon_days', 7, 365, false),
    ('discount_rate_percent', 0, 100, false)

),

wrong_values as (

    select
        settings.user_id,
        settings.setting,
        settings.value as given_value
    from settings
    left join bounds on settings.setting = bounds.setting
    where
        bounds.setting is null
        or (settings.value is null and not bounds.may_be_empty)
        or (
            settings.value is not null
            and not coalesce(
                regexp_matches(settings.value, '^[0-9]+$')
                and try_cast(settings.value as integer) between bounds.lowest and bounds.highest,
                false
            )
        )

),

missing_defaults as (

    select
        '*' as user_id,
        bounds.setting,
        cast(null as varchar) as given_value
    from bounds
    left join settings on bounds.setting = settings.setting and settings.user_id = '*'
    where settings.setting is null

),

all_failures as (

    select * from wrong_values
    union all
    select * from missing_defaults

)

select * from all_failures
