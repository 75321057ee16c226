with clock as (

    select * from {{ ref('int_tenant_clock') }}

),

memberships as (

    select * from {{ ref('int_cohort_memberships') }}

),

named_cohorts as (

    select * from {{ ref('named_cohorts') }}

),

generated_windows as (

    select
        user_id,
        cohort_key,
        cohort_type,
        period_grain,
        cohort_class,
        acquisition_start_date,
        case period_grain
            when 'month' then {{ dbt.dateadd('month', 1, 'acquisition_start_date') }}
            when 'quarter' then {{ dbt.dateadd('quarter', 1, 'acquisition_start_date') }}
            when 'week' then {{ dbt.dateadd('week', 1, 'acquisition_start_date') }}
        end as next_window_start,
        case period_grain
            when 'month' then substr(cast(acquisition_start_date as varchar), 1, 7)
            when 'quarter'
                then concat(
                    extract(year from acquisition_start_date), '-Q', extract(quarter from acquisition_start_date)
                )
            when 'week' then concat('Week of ', acquisition_start_date)
        end as window_name
    from memberships
    where cohort_key not like 'named:%'
    group by user_id, cohort_key, cohort_type, period_grain, cohort_class, acquisition_start_date

),

generated as (

    select
        user_id,
        cohort_key,
        case cohort_type
            when 'acquisition' then concat(window_name, ' Acquisition')
            when 'behavioral' then concat(window_name, ' First event ', cohort_class)
            when 'value' then concat(window_name, ' First order ', cohort_class)
            when 'engagement' then concat(window_name, ' First 30 days ', cohort_class)
        end as cohort_name,
        cohort_type,
        period_grain,
        cohort_class,
        case cohort_type
            when 'acquisition' then 'First purchase in the window'
            when 'behavioral' then concat('First event in the window, of type ', cohort_class)
            when 'value' then concat('First purchase in the window, ', cohort_class, ' third by first order')
            when 'engagement' then concat('First purchase in the window, ', cohort_class, ' in the 30 days from it')
        end as description,
        true as is_active,
        acquisition_start_date,
        {{ add_days('cast(next_window_start as date)', -1) }} as acquisition_end_date
    from generated_windows

),

named as (

    select
        clock.user_id,
        concat('named:', named_cohorts.cohort_key) as cohort_key,
        named_cohorts.cohort_name,
        named_cohorts.cohort_type,
        'month' as period_grain,
        cast(null as varchar) as cohort_class,
        named_cohorts.description,
        named_cohorts.is_active,
        named_cohorts.start_date as acquisition_start_date,
        named_cohorts.end_date as acquisition_end_date
    from clock
    inner join named_cohorts on clock.as_of_date >= named_cohorts.start_date

),

defined as (

    select * from generated
    union all
    select * from named

)

select * from defined
