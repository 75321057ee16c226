{{ config(materialized='table') }}

{% set measures = [
    'customers_with_event', 'total_events', 'total_page_views', 'total_product_views', 'total_add_to_cart',
    'email_sent_count', 'email_open_count', 'email_click_count', 'sms_sent_count', 'sms_open_count', 'refund_amount',
    'total_purchases', 'buyers_that_day', 'gross_amount', 'session_count', 'engaged_session_count', 'session_seconds'
] %}

with memberships as (

    select * from {{ ref('int_segment_memberships') }}

),

facts as (

    select * from {{ ref('int_customer_facts') }}

),

-- Facts from before a spell are in it: who is a member today counts with all that lies in today's windows.
facts_of_members as (

    select
        memberships.user_id,
        memberships.segment_key,
        memberships.member_from,
        memberships.member_until,
        {%- for measure in measures %}
            sum(facts.{{ measure }}) as {{ measure }},
        {%- endfor %}
        facts.fact_date
    from memberships
    inner join facts
        on
            memberships.user_id = facts.user_id
            and memberships.customer_id = facts.customer_id
            and coalesce(memberships.member_until > facts.fact_date, true)
    group by
        memberships.user_id,
        memberships.segment_key,
        memberships.member_from,
        memberships.member_until,
        facts.fact_date

)

select * from facts_of_members
