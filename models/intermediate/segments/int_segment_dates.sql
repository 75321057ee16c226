{{ config(materialized='table') }}

with clock as (

    select * from {{ ref('int_segment_clock') }}

),

definitions as (

    select * from {{ ref('int_segment_definitions') }}

),

evaluations as (

    select * from {{ ref('stg_segment_evaluations') }}

),

predictions_in_force as (

    select * from {{ ref('int_segment_predictions_in_force') }}

),

touched_dates as (

    select * from {{ ref('int_touched_dates') }}

),

profile_changes as (

    select * from {{ ref('int_segment_profile_changes') }}

),

calendar as (

    select
        user_id,
        {{ unnest_days('history_from', 'as_of_date') }} as evaluation_date
    from clock

),

-- What decides the memberships of a date, beside the data: the versions that hold by then, where history begins, and
-- the predictions in force (null where there are none).
versions_in_force as (

    select
        calendar.user_id,
        calendar.evaluation_date,
        md5(coalesce(string_agg(definitions.version_hash, '|' order by definitions.segment_key, definitions.since), ''))
            as versions_hash
    from calendar
    left join definitions
        on
            calendar.user_id = definitions.user_id
            and calendar.evaluation_date >= definitions.since
            and definitions.is_automatic
    group by calendar.user_id, calendar.evaluation_date

),

with_hashes as (

    select
        versions_in_force.user_id,
        versions_in_force.evaluation_date,
        md5(
            concat_ws(
                '|', versions_in_force.versions_hash, clock.history_from, predictions_in_force.predictions_hash
            )
        ) as definitions_hash
    from versions_in_force
    inner join clock on versions_in_force.user_id = clock.user_id
    left join predictions_in_force
        on
            versions_in_force.user_id = predictions_in_force.user_id
            and versions_in_force.evaluation_date = predictions_in_force.evaluation_date

),

first_changes as (

    select
        user_id,
        min(event_date) as first_date
    from touched_dates
    group by user_id

    union all

    select
        user_id,
        first_date
    from profile_changes

    union all

    select
        with_hashes.user_id,
        min(with_hashes.evaluation_date) as first_date
    from with_hashes
    left join evaluations
        on
            with_hashes.user_id = evaluations.user_id
            and with_hashes.evaluation_date = evaluations.evaluation_date
    where with_hashes.definitions_hash is distinct from evaluations.definitions_hash
    group by with_hashes.user_id

    union all

    select
        user_id,
        case when {{ 'true' if flags.FULL_REFRESH else 'false' }} then history_from else as_of_date end as first_date
    from clock

),

due_from as (

    select
        user_id,
        min(first_date) as first_date
    from first_changes
    group by user_id

),

-- A membership depends on all that came before: from the first date that changed, every date is due. What was evaluated
-- before history begins, after the as-of date, or of a tenant that is gone, is dropped.
dates as (

    select
        coalesce(with_hashes.user_id, evaluations.user_id) as user_id,
        coalesce(with_hashes.evaluation_date, evaluations.evaluation_date) as evaluation_date,
        with_hashes.definitions_hash,
        with_hashes.user_id is not null as is_in_history,
        coalesce(with_hashes.evaluation_date >= due_from.first_date, true) as is_due
    from with_hashes
    inner join due_from on with_hashes.user_id = due_from.user_id
    full outer join evaluations
        on
            with_hashes.user_id = evaluations.user_id
            and with_hashes.evaluation_date = evaluations.evaluation_date

)

select * from dates
