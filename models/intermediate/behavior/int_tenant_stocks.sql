with clock as (

    select * from {{ ref('int_tenant_clock') }}

),

daily as (

    select * from {{ ref('int_tenant_daily') }}

),

presence_changes as (

    select * from {{ ref('int_presence_changes') }}

),

purchase_state_changes as (

    select * from {{ ref('int_purchase_state_changes') }}

),

changes as (

    select * from presence_changes
    union all
    select * from purchase_state_changes

),

{% set states = ['known', 'seen', 'active', 'at_risk', 'churned', 'buyer', 'repeat_buyer'] %}

changes_by_date as (

    select
        changes.user_id,
        -- Who signed up before the tenant's first event counts from the first date that there is.
        greatest(changes.change_date, clock.first_event_date) as change_date,
        {%- for state in states %}
            sum(changes.entered_count - changes.left_count) filter (where changes.state = '{{ state }}')
                as {{ state }}_change,
        {%- endfor %}
        sum(changes.entered_count) filter (where changes.state = 'seen') as new_customers,
        sum(changes.entered_count) filter (where changes.state = 'churned') as newly_churned_customers
    from changes
    inner join clock on changes.user_id = clock.user_id
    group by changes.user_id, greatest(changes.change_date, clock.first_event_date)

),

stocks as (

    select
        daily.*,
        {%- for state in states %}
            coalesce(sum(changes_by_date.{{ state }}_change) over to_date, 0) as {{ state }}_customers,
        {%- endfor %}
        coalesce(changes_by_date.new_customers, 0) as new_customers,
        coalesce(changes_by_date.newly_churned_customers, 0) as newly_churned_customers
    from daily
    left join changes_by_date
        on
            daily.user_id = changes_by_date.user_id
            and daily.event_date = changes_by_date.change_date
    window to_date as (
        partition by daily.user_id
        order by daily.event_date
        rows unbounded preceding
    )

)

select * from stocks
