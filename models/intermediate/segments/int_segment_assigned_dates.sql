-- Since when a customer is in the grid segment and the final segment of today: churn may have said otherwise meanwhile.
with finals as (

    select * from {{ ref('int_final_segments') }}

),

rules as (

    select
        definitions.user_id,
        definitions.segment_key,
        unnest(string_split(segment_rules.value, '|')) as rfm_segment
    from {{ ref('int_segment_definitions') }} as definitions
    inner join {{ ref('int_segment_clock') }} as segment_clock
        on
            definitions.user_id = segment_clock.user_id
            and definitions.since <= segment_clock.as_of_date
            and coalesce(definitions.until > segment_clock.as_of_date, true)
    inner join {{ ref('segment_rules') }} as segment_rules
        on
            definitions.segment_key = segment_rules.segment_key
            and segment_rules.field = 'rfm_segment'
    where definitions.family = 'rfm' and definitions.is_active

),

memberships as (

    select * from {{ ref('int_segment_memberships') }}
    where member_until is null

),

grid_spells as (

    select
        finals.user_id,
        finals.customer_id,
        finals.rfm_segment,
        finals.segment,
        finals.engagement_category,
        min(memberships.member_from) as grid_from,
        bool_or(memberships.is_joined_before_history) as is_joined_before_history
    from finals
    inner join rules on finals.user_id = rules.user_id and finals.rfm_segment = rules.rfm_segment
    inner join memberships
        on
            rules.user_id = memberships.user_id
            and rules.segment_key = memberships.segment_key
            and finals.customer_id = memberships.customer_id
    group by finals.user_id, finals.customer_id, finals.rfm_segment, finals.segment, finals.engagement_category

),

score_days as (

    select * from {{ ref('int_churn_score_days') }}

),

overrides as (

    select * from {{ ref('segment_overrides') }}

),

-- The last day within the grid segment's spell on which the final segment was another one, and the day after it.
other_days as (

    select
        grid_spells.user_id,
        grid_spells.customer_id,
        max(score_days.until_date) as changed_date
    from grid_spells
    inner join score_days
        on
            grid_spells.user_id = score_days.user_id
            and grid_spells.customer_id = score_days.customer_id
            and grid_spells.grid_from < score_days.until_date
    left join overrides
        on
            grid_spells.rfm_segment = overrides.grid_segment
            and score_days.churn_risk_level = overrides.churn_band
            and overrides.engagement_category in ('*', grid_spells.engagement_category)
    where coalesce(overrides.final_segment, grid_spells.rfm_segment) <> grid_spells.segment
    group by grid_spells.user_id, grid_spells.customer_id

),

assigned as (

    select
        grid_spells.user_id,
        grid_spells.customer_id,
        greatest(grid_spells.grid_from, coalesce(other_days.changed_date, grid_spells.grid_from)) as assigned_date,
        grid_spells.is_joined_before_history and other_days.changed_date is null as is_assigned_before_history
    from grid_spells
    left join other_days
        on grid_spells.user_id = other_days.user_id and grid_spells.customer_id = other_days.customer_id

)

select * from assigned
