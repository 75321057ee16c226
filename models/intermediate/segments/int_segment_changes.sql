{{ config(
    materialized='incremental',
    incremental_strategy='replace_dates',
    date_column='change_date',
    meta={'depends_on_earlier_dates': true}
) }}

{#- Outside of any condition: dbt reads a model's parents while parsing, where nothing is incremental. -#}
{%- set is_due = is_touched('change_date') -%}

with masks as (

    select * from {{ ref('int_segment_masks') }}

),

customers as (

    select * from {{ ref('int_segment_customers') }}

),

segments as (

    select distinct
        user_id,
        segment_key,
        segment_word,
        segment_bit
    from {{ ref('int_segment_definitions') }}
    where is_automatic

),

{% if is_incremental() %}
    members_before as (

        select
            user_id,
            customer_id,
            segment_key
        from {{ this }}
        where not {{ is_due }}
        group by user_id, customer_id, segment_key
        having arg_max(is_member, change_date)

    ),
{% endif %}

all_masks as (

    select
        customer_number,
        state_date,
        segment_word,
        segment_mask
    from masks

    {% if is_incremental() %}
        union all

        select
            customers.customer_number,
            {{ add_days('customers.due_from_date', -1) }} as state_date,
            segments.segment_word,
            bit_or(segments.segment_bit) as segment_mask
        from members_before
        inner join customers
            on members_before.user_id = customers.user_id and members_before.customer_id = customers.customer_id
        inner join segments
            on members_before.user_id = segments.user_id and members_before.segment_key = segments.segment_key
        group by customers.customer_number, customers.due_from_date, segments.segment_word
    {% endif %}

),

{% if is_incremental() %}
    -- Who has no row on the first date that is due is in no segment then.
    with_first_dates as (

        select * from all_masks

        union all

        select distinct
            all_masks.customer_number,
            customers.due_from_date as state_date,
            all_masks.segment_word,
            0 as segment_mask
        from all_masks
        inner join customers
            on all_masks.customer_number = customers.customer_number and all_masks.state_date < customers.due_from_date

    ),
{% endif %}

with_masks_before as (

    select
        customer_number,
        segment_word,
        state_date as change_date,
        bit_or(segment_mask) as segment_mask,
        coalesce(lag(bit_or(segment_mask)) over timeline, 0) as mask_before
    from {{ 'with_first_dates' if is_incremental() else 'all_masks' }}
    group by customer_number, segment_word, state_date
    window timeline as (partition by customer_number, segment_word order by state_date)

),

changed_masks as (

    select
        *,
        xor(segment_mask, mask_before) as changed
    from with_masks_before
    where segment_mask <> mask_before

),

changes as (

    select
        customers.user_id,
        customers.customer_id,
        segments.segment_key,
        changed_masks.segment_mask & segments.segment_bit <> 0 as is_member,
        changed_masks.change_date
    from changed_masks
    inner join customers on changed_masks.customer_number = customers.customer_number
    inner join segments
        on
            changed_masks.segment_word = segments.segment_word
            and changed_masks.changed & segments.segment_bit <> 0
    where changed_masks.change_date between customers.due_from_date and customers.as_of_date

)

select * from changes
