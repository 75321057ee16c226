-- How many of a ranking's cuts are before a buyer's value. Cuts move from date to date, but values between two cuts of
-- any dates share their levels: they are looked up by class, not compared by date.
{{ config(materialized='table') }}

with ranked as (

    select * from {{ ref('int_rank_values') }}

),

cuts as (

    select * from {{ ref('int_rank_cuts') }}

),

classes as (

    select distinct
        user_id,
        ranking,
        cut_rank as after_rank
    from cuts

    union

    select distinct
        user_id,
        ranking,
        0 as after_rank
    from cuts

),

levels_by_date as (

    select
        classes.user_id,
        classes.ranking,
        classes.after_rank,
        cuts.state_date,
        count(*) filter (where cuts.cut_rank <= classes.after_rank) as cuts_before
    from classes
    inner join cuts on classes.user_id = cuts.user_id and classes.ranking = cuts.ranking
    group by classes.user_id, classes.ranking, classes.after_rank, cuts.state_date

),

level_changes as (

    select
        *,
        lag(cuts_before) over (partition by user_id, ranking, after_rank order by state_date) as cuts_before_earlier
    from levels_by_date

),

class_levels as (

    select
        user_id,
        ranking,
        after_rank,
        cuts_before,
        state_date as from_date,
        lead(state_date, 1, date '9999-12-31') over (
            partition by user_id, ranking, after_rank
            order by state_date
        ) as until_date
    from level_changes
    where cuts_before is distinct from cuts_before_earlier

),

classed as (

    select
        ranked.*,
        classes.after_rank
    from ranked
    asof inner join classes
        on
            ranked.user_id = classes.user_id
            and ranked.ranking = classes.ranking
            and ranked.value_rank > classes.after_rank

),

levels as (

    select
        classed.user_id,
        classed.customer_number,
        classed.ranking,
        classed.first_order_date,
        classed.from_date as value_from_date,
        class_levels.cuts_before,
        greatest(classed.from_date, class_levels.from_date) as from_date,
        least(classed.until_date, class_levels.until_date) as until_date
    from classed
    inner join class_levels
        on
            classed.user_id = class_levels.user_id
            and classed.ranking = class_levels.ranking
            and classed.after_rank = class_levels.after_rank
            and classed.from_date < class_levels.until_date
            and classed.until_date > class_levels.from_date

)

select * from levels
