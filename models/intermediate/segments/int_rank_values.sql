-- Values that buyers are ranked by. Ranked over all spans at once: how many are before a value on one date is then a
-- matter of counting those that hold on it (int_rank_cuts).
{{ config(materialized='table') }}

{#- Whatever of a buyer is ranked is made of these. -#}
{% set parts = [
    'first_order_date', 'last_order_date', 'orders', 'visits', 'gross_amount', 'refund_amount', 'rfm_orders',
    'rfm_gross_amount', 'rfm_refund_amount'
] %}

with customers as (

    select * from {{ ref('int_segment_customers') }}

),

measures as (

    select * from {{ ref('int_customer_measures') }}
    where orders > 0

),

asked as (

    select distinct
        user_id,
        field,
        direction
    from {{ ref('int_segment_tests') }}
    where kind = 'rank'

),

changes as (

    select
        customer_number,
        {{ parts | join(', ') }},
        from_date
    from measures
    qualify
        coalesce(
            ({{ parts | join(', ') }}) is distinct from lag(({{ parts | join(', ') }})) over (
                partition by customer_number
                order by from_date
            ),
            true
        )

),

buyers as (

    select
        customers.user_id,
        changes.*,
        lead(changes.from_date, 1, {{ add_days('customers.as_of_date', 1) }}) over (
            partition by changes.customer_number
            order by changes.from_date
        ) as until_date
    from changes
    inner join customers on changes.customer_number = customers.customer_number

),

-- Money of the scores is exact; a rule's field is the number that the rule would compare.
with_values as (

    {% for ranking, exact in {
        'recency': "date '1970-01-01' - last_order_date",
        'frequency': 'rfm_orders',
        'monetary': 'greatest(rfm_gross_amount - rfm_refund_amount, 0)'
    }.items() %}
        select
            user_id,
            customer_number,
            '{{ ranking }}' as ranking,
            cast({{ exact }} as decimal(18, 4)) as exact_value,
            cast(null as double) as number,
            first_order_date,
            from_date,
            until_date
        from buyers

        union all
    {% endfor %}

    select
        buyers.user_id,
        buyers.customer_number,
        asked.field || '.' || asked.direction as ranking,
        null as exact_value,
        asked.direction * case asked.field
            {%- for field, expression in rankable_fields().items() %}
                when '{{ field }}' then cast({{ expression }} as double)
            {%- endfor %}
        end as number,
        buyers.first_order_date,
        buyers.from_date,
        buyers.until_date
    from buyers
    inner join asked on buyers.user_id = asked.user_id

),

ranked as (

    select
        * exclude (exact_value, number),
        rank() over (partition by user_id, ranking order by exact_value, number) as value_rank
    from with_values

)

select * from ranked
