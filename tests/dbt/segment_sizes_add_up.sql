{{ config(meta={'dagster': {'ref': {'name': 'segment_size_daily'}}}) }}

-- A size is that of the day before, plus who joined, minus who left; the causes add up; on the first and the last date
-- of the history it is the number of spells that hold the date; no active segment and date is missing.
with clock as (

    select * from {{ ref('int_segment_clock') }}

),

sizes as (

    select * from {{ ref('segment_size_daily') }}

),

spells as (

    select * from {{ ref('int_segment_spells') }}

),

unbalanced_dates as (

    select
        sizes.user_id,
        sizes.segment_key,
        sizes.date
    from sizes
    inner join clock on sizes.user_id = clock.user_id
    left join sizes as former
        on
            sizes.user_id = former.user_id
            and sizes.segment_key = former.segment_key
            and sizes.date = {{ add_days('former.date', 1) }}
    where
        (
            sizes.date > clock.history_from
            and sizes.member_count <> coalesce(former.member_count, 0) + sizes.joined_count - sizes.left_count
        )
        or sizes.joined_count
        <> sizes.joined_by_behavior + sizes.joined_by_definition + sizes.joined_by_data + sizes.joined_by_assignment
        or sizes.left_count
        <> sizes.left_by_behavior + sizes.left_by_definition + sizes.left_by_data + sizes.left_by_assignment
        or (not sizes.is_active and sizes.member_count <> 0)

),

dates as (

    select
        user_id,
        history_from as date
    from clock
    union distinct
    select
        user_id,
        as_of_date as date
    from clock

),

counted_spells as (

    select
        spells.user_id,
        spells.segment_key,
        dates.date,
        count(*) as member_count
    from spells
    inner join dates
        on
            spells.user_id = dates.user_id
            and spells.joined_date <= dates.date
            and coalesce(spells.left_date > dates.date, true)
    group by spells.user_id, spells.segment_key, dates.date

),

differing_sizes as (

    select
        user_id,
        segment_key,
        date
    from counted_spells
    full outer join sizes using (user_id, segment_key, date)
    inner join clock using (user_id)
    where
        date in (clock.history_from, clock.as_of_date)
        and coalesce(counted_spells.member_count, 0) <> coalesce(sizes.member_count, 0)

),

-- One row for each segment that is active on the last date, back to where its version of that date begins.
missing_dates as (

    select
        definitions.user_id,
        definitions.segment_key,
        clock.as_of_date as date
    from {{ ref('int_segment_definitions') }} as definitions
    inner join clock
        on
            definitions.user_id = clock.user_id
            and definitions.since <= clock.as_of_date
            and coalesce(definitions.until > clock.as_of_date, true)
    left join sizes
        on
            definitions.user_id = sizes.user_id
            and definitions.segment_key = sizes.segment_key
            and sizes.date between greatest(definitions.since, clock.history_from) and clock.as_of_date
            and sizes.is_active
    where definitions.is_active
    group by definitions.user_id, definitions.segment_key, definitions.since, clock.history_from, clock.as_of_date
    having
        {{ add_days('greatest(definitions.since, clock.history_from)', 'cast(count(sizes.date) as integer)') }}
        <> {{ add_days('clock.as_of_date', 1) }}

),

failures as (

    select * from unbalanced_dates
    union all
    select * from differing_sizes
    union all
    select * from missing_dates

)

select * from failures
