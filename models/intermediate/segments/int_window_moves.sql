{#- After its day, a fact enters or leaves windows: (window, fact, sign, days after). -#}
{% set later = namespace(moves=[]) %}
{% for window, (fact, entered, left) in measure_windows().items() %}
    {%- do later.moves.append((window, fact, -1, left)) -%}
    {%- if entered -%}
        {%- do later.moves.append((window, fact, 1, entered)) -%}
    {%- endif -%}
{% endfor %}

-- What matters here of a day is over after its last window.
with days as (

    select * from {{ ref('int_customer_days') }}
    where event_date > due_from_date - greatest(180, rfm_window_days)

),

-- A window that no rule of the tenant looks at need only be right on the as-of date.
looks as (

    select
        {%- for window in measure_windows() %}
            coalesce(bool_or(tests.measure = '{{ window }}'), false) as looks_at_{{ window }},
        {%- endfor %}
        tenants.user_id
    from {{ ref('int_tenants') }} as tenants
    left join {{ ref('int_segment_tests') }} as tests on tenants.user_id = tests.user_id
    group by tenants.user_id

),

-- Move 0 is that out of the tenant's RFM window.
numbered as (

    select
        days.*,
        {%- for window, fact, sign, after in later.moves %}
            case
                when looks.looks_at_{{ window }} then {{ add_days('days.event_date', after) }}
                else days.as_of_date
            end as move_{{ loop.index }}_date,
        {%- endfor %}
        {{ add_days('days.event_date', 'days.rfm_window_days') }} as move_0_date,
        unnest(list_filter([
            {%- for window, fact, sign, after in later.moves %}
                case
                    when
                        days.{{ fact }} <> 0
                        and {{ add_days('days.event_date', after) }} > days.due_from_date
                        and {{ add_days('days.event_date', after) }} <= days.as_of_date
                        then {{ loop.index }}
                end,
            {%- endfor %}
            case
                when
                    (days.orders <> 0 or days.gross_amount <> 0 or days.refund_amount <> 0)
                    and {{ add_days('days.event_date', 'days.rfm_window_days') }} > days.due_from_date
                    and {{ add_days('days.event_date', 'days.rfm_window_days') }} <= days.as_of_date
                    then 0
            end
        ], lambda found: found is not null)) as move_number -- noqa: RF02
    from days
    inner join looks on days.user_id = looks.user_id

),

window_moves as (

    select
        customer_number,
        {%- for column in measure_windows() %}
            sum(
                case move_number
                    {%- for window, fact, sign, after in later.moves if window == column %}
                        when {{ later.moves.index((window, fact, sign, after)) + 1 }} then {{ sign }} * {{ fact }}
                    {%- endfor %}
                end
            ) as {{ column }},
        {%- endfor %}
        {%- for column, fact in measure_rfm_window().items() %}
            sum(case move_number when 0 then -{{ fact }} end) as {{ column }},
        {%- endfor %}
        case move_number
            {%- for move in range(later.moves | length + 1) %}
                when {{ move }} then move_{{ move }}_date
            {%- endfor %}
        end as from_date
    from numbered
    group by all

)

select * from window_moves
