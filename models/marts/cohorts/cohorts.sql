with definitions as (

    select * from {{ ref('int_cohorts_defined') }}

),

memberships as (

    select * from {{ ref('int_cohort_memberships') }}

),

clock as (

    select * from {{ ref('int_tenant_clock') }}

),

member_counts as (

    select
        user_id,
        cohort_key,
        count(*) as member_count
    from memberships
    group by user_id, cohort_key

),

counted as (

    select
        {{ surrogate_uuid(['definitions.user_id', 'definitions.cohort_key']) }} as id,
        definitions.user_id,
        definitions.cohort_name,
        definitions.cohort_type,
        definitions.acquisition_start_date,
        definitions.acquisition_end_date,
        definitions.description,
        cast(coalesce(member_counts.member_count, 0) as integer) as member_count,
        definitions.is_active,
        {{ utc_instant('definitions.acquisition_start_date', 'clock.timezone') }} as created_at,
        clock.as_of_at as updated_at,
        definitions.cohort_key,
        definitions.cohort_class,
        definitions.period_grain,
        -- Who buys for the first time on the last day of the window ends day 30 this many days later.
        case definitions.cohort_type
            when 'engagement' then {{ add_days('definitions.acquisition_end_date', 29) }}
            else definitions.acquisition_end_date
        end as membership_closed_date
    from definitions
    inner join clock on definitions.user_id = clock.user_id
    left join member_counts
        on
            definitions.user_id = member_counts.user_id
            and definitions.cohort_key = member_counts.cohort_key

)

select * from counted
