{%- set windows = [30, 90, 180] %}
{%- set engagement_measures = ['session', 'engagement_event', 'open_and_click'] %}

with measures as (

    select * from {{ ref('int_feature_measures') }}

),

engagement as (

    select * from {{ ref('int_feature_engagement') }}

),

customers as (

    select * from {{ ref('int_feature_customers') }}

),

categories as (

    select * from {{ ref('int_feature_categories') }}

),

dated as (

    select
        measures.*,
        customers.sample_rank,
        customers.is_current,
        {{ days_between('measures.first_purchase_date', 'measures.last_purchase_date') }} as recency_age_days,
        {{ days_between('measures.first_purchase_date', 'measures.feature_date') }} as age_days,
        {{ days_between('measures.last_purchase_date', 'measures.feature_date') }} as days_since_last_purchase,
        {{ days_between('customers.first_event_date', 'measures.feature_date') }} as tenure_days,
        categories.category_entropy,
        engagement.ticket_count,
        {%- for measure in engagement_measures %}
            {%- for window in windows[:2] %}
                engagement.{{ measure }}_count_last_{{ window }}_days,
            {%- endfor %}
        {%- endfor %}
        -- Sums of squares about the mean, times the count: exact before the only division.
        measures.gap_count * measures.gap_square_sum - measures.gap_sum * measures.gap_sum as gap_scatter,
        cast(measures.purchase_days as double) * cast(measures.spend_square_sum as double)
        - cast(measures.spend_sum as double) * cast(measures.spend_sum as double) as spend_scatter
    from measures
    inner join customers
        on
            measures.user_id = customers.user_id
            and measures.customer_id = customers.customer_id
            and measures.feature_date = customers.feature_date
    left join engagement
        on
            measures.user_id = engagement.user_id
            and measures.customer_id = engagement.customer_id
            and measures.feature_date = engagement.feature_date
    left join categories
        on
            measures.user_id = categories.user_id
            and measures.customer_id = categories.customer_id
            and measures.feature_date = categories.feature_date

),

spread as (

    select
        *,
        gap_sum / nullif(gap_count, 0) as mean_gap_days,
        sqrt(gap_scatter / nullif(gap_count * (gap_count - 1), 0)) as sd_gap_days,
        sqrt(greatest(spend_scatter, 0) / nullif(purchase_days * (purchase_days - 1), 0)) as spend_sd
    from dated

),

features as (

    select
        user_id,
        customer_id,
        cast(purchase_days as integer) as purchase_days,
        cast(purchase_days - 1 as integer) as repeat_days,
        cast(recency_age_days as integer) as recency_age_days,
        cast(age_days as integer) as age_days,
        cast(days_since_last_purchase as integer) as days_since_last_purchase,
        cast(tenure_days as integer) as tenure_days,
        cast(order_count as integer) as order_count,
        cast(coalesce(ticket_count, 0) as integer) as ticket_count,
        cast(sample_rank as integer) as sample_rank,
        cast(total_spend as decimal(18, 4)) as total_spend,
        cast(spend_last_365_days as decimal(18, 4)) as spend_last_365_days,
        cast(total_spend / purchase_days as double) as mean_spend_per_day,
        cast(first_spend as decimal(18, 4)) as first_spend,
        cast(last_spend as decimal(18, 4)) as last_spend,
        cast(max_spend as decimal(18, 4)) as max_spend,
        spend_sd,
        spend_sd * purchase_days / nullif(cast(spend_sum as double), 0) as spend_variation,
        mean_gap_days,
        sd_gap_days,
        cast(last_gap_days as integer) as last_gap_days,
        cast(max_gap_days as integer) as max_gap_days,
        days_since_last_purchase / mean_gap_days as recency_over_mean_gap,
        {%- for window in windows %}
            coalesce(order_count_last_{{ window }}_days, 0) / order_count as share_of_orders_last_{{ window }}_days,
        {%- endfor %}
        {%- for window in windows %}
            cast(coalesce(gross_amount_last_{{ window }}_days, 0) as double) / nullif(cast(gross_amount as double), 0)
                as share_of_spend_last_{{ window }}_days,
        {%- endfor %}
        {%- for measure in engagement_measures %}
            {%- for window in windows[:2] %}
                cast(coalesce({{ measure }}_count_last_{{ window }}_days, 0) as integer)
                    as {{ measure }}_count_last_{{ window }}_days,
            {%- endfor %}
        {%- endfor %}
        category_entropy,
        cast(discount_amount as double) / nullif(cast(gross_amount + discount_amount as double), 0) as discount_share,
        cast(refund_amount as double) / nullif(cast(gross_amount as double), 0) as refund_share,
        is_current,
        first_purchase_date,
        last_purchase_date,
        feature_date as as_of_date
    from spread

)

select * from features
