{% set empty_days = 30 %}
{% set unchanged_days = 90 %}

with clock as (

    select * from {{ ref('int_segment_clock') }}

),

sizes as (

    select * from {{ ref('segment_size_daily') }}
    where is_active

),

histories as (

    select
        sizes.user_id,
        sizes.segment_key,
        clock.as_of_date,
        min(sizes.date) as first_date,
        max(sizes.date) filter (where sizes.member_count > 0) as last_filled_date,
        max(sizes.date) filter (where sizes.joined_count > 0 or sizes.left_count > 0) as last_changed_date
    from sizes
    inner join clock on sizes.user_id = clock.user_id
    group by sizes.user_id, sizes.segment_key, clock.as_of_date

),

-- A state that has lasted as long as the history is seen since its first day; when it began is not known.
states as (

    select
        current_sizes.user_id,
        current_sizes.segment_id,
        current_sizes.segment_key,
        current_sizes.member_count,
        histories.as_of_date,
        histories.first_date as history_from,
        case
            when current_sizes.member_count = 0
                then coalesce({{ add_days('histories.last_filled_date', 1) }}, histories.first_date)
        end as empty_since,
        histories.last_changed_date,
        coalesce(histories.last_changed_date, histories.first_date) as unchanged_since
    from histories
    inner join sizes as current_sizes
        on
            histories.user_id = current_sizes.user_id
            and histories.segment_key = current_sizes.segment_key
            and histories.as_of_date = current_sizes.date

),

with_days as (

    select
        *,
        coalesce({{ days_between('empty_since', 'as_of_date') }} + 1, 0) as empty_days,
        {{ days_between('unchanged_since', 'as_of_date') }} as unchanged_days
    from states

),

health as (

    select
        {{ surrogate_uuid(['user_id', 'segment_key']) }} as id,
        user_id,
        segment_id,
        segment_key,
        member_count,
        cast(empty_days as bigint) as empty_days,
        cast(unchanged_days as bigint) as unchanged_days,
        case
            when empty_days >= {{ empty_days }} then true
            when empty_days = 0 or empty_since > history_from then false
        end as is_empty_for_30_days,
        case
            when unchanged_days >= {{ unchanged_days }} then true
            when last_changed_date is not null then false
        end as is_unchanged_for_90_days,
        as_of_date,
        history_from,
        empty_since,
        unchanged_since
    from with_days

)

select * from health
