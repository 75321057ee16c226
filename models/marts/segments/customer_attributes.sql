{{ config(schema='restricted', access='protected') }}

with attributes as (

    select * from {{ ref('int_customer_attributes') }}

),

{% set flags = [
    'email_opt_in', 'sms_opt_in', 'is_vip', 'is_loyalty_member', 'is_tier_upgrade_eligible', 'follows_on_social',
    'has_profile'
] %}

as_of as (

    select
        {{ surrogate_uuid(['attributes.user_id', 'attributes.customer_id']) }} as id,
        attributes.user_id,
        attributes.customer_id,
        {%- for field in segment_text_fields() %}
            attributes.{{ field }},
        {%- endfor %}
        attributes.tags,
        {%- for field in segment_number_fields() if field not in flags %}
            cast(attributes.{{ field }} as double) as {{ field }},
        {%- endfor %}
        {%- for field in flags %}
            attributes.{{ field }},
        {%- endfor %}
        {%- for field in segment_date_fields() %}
            attributes.{{ field }},
        {%- endfor %}
        attributes.as_of_date
    from attributes
    where attributes.state_date = attributes.as_of_date

)

select * from as_of
