"""The generator's SQL: customers, their visits, and the events that land, over tables of `lookups`."""

# `hash` of several values ends in a plain xor, which correlates neighbours; hashing once more
# mixes it. `pick` takes a number below n from the bits above `shift`.
CREATE_MACROS = """
create temp macro draw(key, salt) as hash(hash(key, salt));
create temp macro uniform(bits) as cast(bits >> 11 as double) * 1.1102230246251565e-16::double;
create temp macro pick(bits, shift, n) as cast((bits >> shift) % n as integer);
create temp macro money(cents) as cast((cents) * 0.01 as decimal(18, 2));
create temp macro day_of(day_number) as date '1970-01-01' + cast(day_number as integer);
-- Seconds after local midnight: lunch 11-14 h, dinner 17-21 h, else around 15 h; 1 in 20 any time.
create temp macro second_of_day(daypart, bits) as case
    when pick(bits, 40, 20) = 0 then pick(bits, 8, 86400)
    when daypart = 'lunch' then 39600 + pick(bits, 8, 10800)
    when daypart = 'dinner' then 61200 + pick(bits, 8, 14400)
    else 21600 + pick(bits, 8, 32400) + pick(bits, 24, 32400)
end;
create temp macro utc(timezone_name, day_number, local_second) as cast(timezone(
    timezone_name, make_timestamp(day_number * 86400000000 + cast(local_second as bigint) * 1000000)
) as timestamp);
"""

CREATE_CUSTOMERS = """
create or replace temp table customers as
with arrivals as (
    select
        day_number as joined_day,
        unnest(range(cast(floor(
            joiners_per_day + uniform(draw(tenant_hash, day_number))
        ) as bigint))) as arrival
    from tenant, range(tenant.first_joined_day, tenant.last_joined_day + 1) as days (day_number)
),

numbered as (
    select
        joined_day,
        arrival,
        joined_day * 100000 + arrival as customer_number,
        draw(tenant_hash, joined_day * 100000 + arrival) as customer_hash
    from arrivals, tenant
),

drawn as (
    select
        *,
        draw(customer_hash, 1) as habit_bits,
        draw(customer_hash, 2) as trait_bits,
        draw(customer_hash, 3) as contact_bits,
        uniform(draw(customer_hash, 4)) as life_draw,
        -- Box-Muller: a standard normal from two uniform draws
        sqrt(-2 * ln(1 - uniform(draw(customer_hash, 5))))
            * cos(2 * pi() * uniform(draw(customer_hash, 6))) as rate_normal
    from numbered
),

characterised as (
    select
        *,
        personas[1 + pick(habit_bits, 0, 100)] as persona,
        -- 2 in 100 sign up and are never heard of
        pick(habit_bits, 8, 50) = 0 as is_silent,
        -- 1 in 20 never makes an account: events without a row in the customers feed
        pick(habit_bits, 16, 20) = 0 as is_guest,
        case pick(habit_bits, 24, 4) when 0 then 'lunch' when 1 then 'dinner' else 'any' end
            as daypart,
        case pick(habit_bits, 32, 4) when 0 then 'weekend' when 1 then 'weekday' else 'any' end
            as week_habit,
        case when org_type = 'ecommerce' then
            ['vegan', 'vegetarian', 'gluten_free', null, null, null, null, null, null, null][
                1 + pick(habit_bits, 40, 10)]
        end as dietary_preference
    from drawn, tenant
)

select
    customer_number,
    -- letters between short numbers: no id looks like a telephone or card number
    prefix || '-' || joined_day || 'c' || arrival as customer_id,
    customer_hash,
    cast(joined_day as bigint) as joined_day,
    cast(joined_day + case
        when is_silent and not is_guest then -1
        else least(36500, floor(
            -- who buys for the season comes back for it
            lifetime_scale_days * if(persona = 'seasonal_buyer', 10, 1) * ((1 - life_draw) ** (-1 / lifetime_shape) - 1)
        ))
    end as bigint) as dropped_day,
    persona,
    is_silent and not is_guest as is_silent,
    is_guest,
    daypart,
    week_habit,
    dietary_preference,
    median_visits_per_day * exp(0.9 * rate_normal) as drawn_visits_per_day,
    case persona
        when 'frequent_buyer' then greatest(0.08, 2.5 * drawn_visits_per_day)
        when 'seasonal_buyer' then least(0.06, greatest(0.05, drawn_visits_per_day))
        else drawn_visits_per_day
    end as visits_per_day,
    -- Who comes often without being a frequent buyer mostly looks.
    if(persona = 'frequent_buyer', 1, least(1, buying_visits_per_day / visits_per_day)) as buying_share,
    case persona when 'bargain_hunter' then 85 else 3 end as discount_percent_of_lines,
    if(dietary_preference is null, pick(trait_bits, 0, category_count), 0) as favourite_category,
    pick(trait_bits, 8, 5) as favourite_brand,
    -- positions in DEVICES: half of the devices are telephones
    [0, 0, 0, 1, 1, 2, 2, 3, 4, 5][1 + pick(trait_bits, 16, 10)] as first_device,
    [0, 0, 0, 1, 1, 2, 2, 3, 4, 5][1 + pick(trait_bits, 24, 10)] as second_device,
    pick(trait_bits, 32, city_count) as city_number,
    cast(1 + pick(trait_bits, 40, 28) as bigint) as bill_day_of_month,
    pick(trait_bits, 48, 4) as first_plan,
    case when pick(contact_bits, 0, 10) < 3 then joined_day + 60 + pick(contact_bits, 8, 400) end
        as plan_changed_day,
    -- RFC 2544 and RFC 3849 ranges: no address of anybody
    if(
        pick(contact_bits, 24, 10) = 0,
        format('2001:db8:{:x}:{:x}::{:x}', pick(contact_bits, 16, 65536),
            pick(contact_bits, 32, 65536), 1 + pick(contact_bits, 48, 4095)),
        format('198.{}.{}.{}', 18 + pick(contact_bits, 16, 2), pick(contact_bits, 32, 256),
            1 + pick(contact_bits, 40, 254))
    ) as ip_address,
    not is_guest and pick(contact_bits, 52, 10) < 7 as email_opt_in,
    not is_guest and pick(contact_bits, 56, 10) < 4 as sms_opt_in,
    -- second and third version of the profile; 15 in 100 second versions withdraw the opt-ins
    case when pick(trait_bits, 52, 20) < 7 then joined_day + 45 + pick(trait_bits, 20, 300) end
        as second_version_day,
    case when pick(trait_bits, 52, 20) < 2 then joined_day + 400 + pick(trait_bits, 28, 200) end
        as third_version_day,
    pick(contact_bits, 44, 100) < 15 as second_version_opts_out
from characterised
"""

# The visits whose events may land within the span; earlier ones only where something comes later.
CREATE_VISITS = """
create or replace temp table visits as
with customer_days as not materialized (
    select customers.*, calendar.*
    from customers, calendar
    where calendar.day_number >= customers.joined_day
),

habits as (
    select
        customer_number, persona, buying_share, dropped_day, kind, day_number, month_number,
        draw(customer_hash, kind_number * 1000000 + day_number) as visit_hash
    from customer_days, kinds
    where (kind = 'visit' or (kind = 'usage' and day_number > joined_day))
        and day_number <= dropped_day
        and (
            uniform(visit_hash) < least(0.95, visits_per_day * per_visit * day_factor
                * case week_habit
                    when 'weekend' then if(is_weekend, 2.2, 0.52)
                    when 'weekday' then if(is_weekend, 0.3, 1.28)
                    else 1
                end
                * if(persona = 'seasonal_buyer' and month_number < 11, 0.3, 1)
                * if(day_number > dropped_day - 45, 0.6, 1))
            or (kind = 'visit' and day_number = joined_day)
        )
),

messages as (
    select
        customer_number, persona, buying_share, dropped_day, kind, day_number, month_number,
        draw(customer_hash, kind_number * 1000000 + day_number) as visit_hash
    from customer_days, kinds, tenant
    where kind = 'message'
        and weekday = mail_weekday
        and email_opt_in
        and day_number > joined_day
        and day_number <= dropped_day + 90
        and not coalesce(second_version_opts_out and day_number >= second_version_day, false)
        and uniform(visit_hash) < mail_rate
),

bills as (
    select
        customer_number, persona, buying_share, dropped_day, kind, day_number, month_number,
        draw(customer_hash, kind_number * 1000000 + day_number) as visit_hash
    from customer_days, kinds
    where kind = 'bill'
        and day_of_month = bill_day_of_month
        and day_number > joined_day
        and day_number <= dropped_day
),

plans as (
    select
        customer_number, persona, buying_share, dropped_day, kind, day_number, month_number,
        draw(customer_hash, kind_number * 1000000 + day_number) as visit_hash
    from customer_days, kinds
    where kind = 'plan'
        and day_number <= dropped_day
        and (day_number = joined_day + 1 or day_number = plan_changed_day)
),

visits_in_moods as (
    select
        *,
        hash(visit_hash) as visit_bits,
        case
            when day_number > dropped_day then 'gone'
            when persona = 'window_shopper' then persona
            when persona = 'seasonal_buyer' then
                if(month_number >= 11, 'seasonal_on', 'seasonal_off')
            when uniform(draw(visit_bits, 3)) > buying_share then 'looking'
            when day_number > dropped_day - 45 then 'leaving'
            else persona
        end as mood
    from (
        from habits union all from messages union all from bills union all from plans
    )
),

scripted as (
    select
        visits_in_moods.* exclude (visit_hash, persona, buying_share, dropped_day, month_number),
        script_slots.script_id,
        scripts.entry,
        scripts.longest_delay_days,
        pick(visit_bits, 10, 1000) < 5 as is_late,
        pick(visit_bits, 20, 1000) < 3 as is_resent,
        pick(visit_bits, 34, 10) = 0 as has_other_content
    from visits_in_moods
    join script_slots
        on script_slots.kind = visits_in_moods.kind
        and script_slots.mood = visits_in_moods.mood
        and script_slots.slot = pick(draw(visit_bits, 1), 0, 1000)
    join scripts on scripts.script_id = script_slots.script_id
)

select scripted.* exclude (longest_delay_days)
from scripted, span
-- A visit of the evening before may run past midnight.
where day_number >= first_day - 1 or longest_delay_days > 0 or is_late
"""

# The events that land within the span. {…} are filled from EVENT_TYPES.
CREATE_EVENTS = """
create or replace temp table landed_events as
with described_visits as (
    select
        visits.*,
        customers.* exclude (customer_number),
        tenant.*,
        case visits.kind
            when 'message' then 32400 + pick(visit_bits, 0, 3600)
            when 'bill' then 36000
            when 'plan' then 37800
            else second_of_day(daypart, draw(visit_bits, 2))
        end as start_second,
        8 + pick(visit_bits, 30, 120) as pace_seconds,
        first_plan + if(coalesce(day_number >= plan_changed_day, false), 1, 0) as plan_number,
        if(pick(visit_bits, 40, 10) < 7, first_device, second_device) as visit_device,
        pick(visit_bits, 44, 2) = 0 as is_app,
        pick(visit_bits, 48, 10) as source_slot
    from visits
    join customers on customers.customer_number = visits.customer_number
    cross join tenant
),

steps as (
    select
        described_visits.*,
        script_steps.* exclude (script_id),
        start_second
            + hour_offset * (1800 + pick(visit_bits, 50, 3600))
            + step_number * pace_seconds
            + pick(draw(visit_bits, step_number), 0, pace_seconds) as local_second
    from described_visits
    join script_steps on script_steps.script_id = described_visits.script_id
),

landed as (
    select
        steps.*,
        day_of(day_number) as visit_date,
        day_number + day_offset + local_second // 86400 as local_day,
        draw(visit_bits, 100 + step_number) as event_bits,
        draw(visit_bits, 200 + line) as line_bits
    from steps, span
    where local_day + if(is_late, late_days, 0) between first_day and last_day
),

chosen as (
    select
        *,
        if(pick(line_bits, 0, 100) < 55, favourite_category, pick(line_bits, 8, category_count))
            as category_number,
        -- the smaller of two draws: the first products of a category are the popular ones
        least(pick(line_bits, 16, 15), pick(line_bits, 24, 15)) as drawn_item,
        if(
            persona = 'brand_loyal' and pick(line_bits, 32, 20) < 19,
            drawn_item - drawn_item % 5 + favourite_brand,
            drawn_item
        ) as item_number,
        [1, 1, 1, 1, 1, 1, 1, 2, 2, 3][1 + pick(line_bits, 36, 10)] as quantity,
        pick(line_bits, 40, 100) < discount_percent_of_lines as has_discount,
        if(has_discount, [10, 20, 30][1 + pick(line_bits, 48, 3)], 0) as discount_percent
    from landed
),

described as (
    select
        chosen.* exclude (drawn_item),
        products.* exclude (product_number),
        event_types.* exclude (type_number),
        plans.* exclude (plan_number),
        products.price_cents * quantity as list_cents,
        list_cents * (100 - discount_percent) // 100 as charged_cents,
        customer_id || 'd' || day_number || left(chosen.kind, 1) as visit_id,
        'order-' || visit_id as order_id,
        'ticket-' || visit_id as ticket_id,
        'referral-' || visit_id as referral_id,
        'message-' || visit_id as message_id,
        prefix || strftime(visit_date, '-%G-w%V') as campaign_id
    from chosen
    join event_types on event_types.type_number = chosen.type_number
    join plans on plans.plan_number = chosen.plan_number
    join products on products.product_number = category_number * 15 + item_number
)

select
    visit_id || step_number as id,
    user_id,
    customer_id,
    event_type,
    if(
        event_category = 'visit',
        if(is_app and devices.device_type = 'mobile', 'mobile_app', 'website'),
        event_category
    ) as event_category,
    if(has_product, product_id, null) as product_id,
    if(has_product, product_name, null) as product_name,
    if(has_product, product_category, null) as product_category,
    money({value}) as event_value,
    cast({properties} as varchar) as event_properties,
    website || {path} || if(is_entry and sources.query != '',
        '?' || sources.query || '&utm_campaign=' || campaign_id, '') as page_url,
    if(is_entry, sources.referrer_url, null) as referrer_url,
    if(in_session, ip_address, null) as ip_address,
    devices.user_agent,
    devices.device_type,
    devices.browser,
    devices.os,
    if(in_session, cities.location, null) as location,
    if(in_session and has_session_ids, 'session-' || visit_id || day_offset, null) as session_id,
    utc(timezone, day_number + day_offset, local_second) as created_at,
    is_late,
    is_resent,
    has_other_content
from described
left join devices on devices.device_number = if(in_session, visit_device, null)
left join cities on cities.city_number = described.city_number
left join sources on sources.entry = described.entry and sources.slot = source_slot
"""

CUSTOMERS_FEED = """
with versions as (
    select
        customers.*,
        tenant.*,
        unnest([1, 2, 3]) as version,
        unnest([joined_day, second_version_day, third_version_day]) as updated_day,
        hash(draw(customer_hash, 1000000 + joined_day)) as first_visit_bits,
        draw(customer_hash, 7) as name_bits,
        draw(customer_hash, 8) as profile_bits
    from customers, tenant
    where not is_guest
),

described as (
    select
        versions.*,
        cities.* exclude (city_number),
        first_names[1 + pick(name_bits, 0, len(first_names))] as first_name,
        last_names[1 + pick(name_bits, 8, len(last_names))] as last_name,
        utc(timezone, joined_day, second_of_day(daypart, draw(first_visit_bits, 2)))
            as signup_at,
        -- 20 in 100 are no members; a new version and a loyal persona each raise the tier
        ['bronze', 'bronze', 'bronze', 'silver', 'silver', 'gold', 'platinum', 'platinum'][
            pick(profile_bits, 0, 4) + version
            + if(persona in ('frequent_buyer', 'brand_loyal'), 1, 0)
        ] as tier,
        pick(profile_bits, 8, 5) > 0 as is_member,
        version > 1 and second_version_opts_out as has_opted_out
    from versions
    join cities on cities.city_number = versions.city_number
    join span on updated_day between first_day and last_day
)

select
    user_id,
    customer_id,
    regexp_replace(lower(strip_accents(first_name || '.' || last_name)), '[^a-z.]', '', 'g')
        || '.' || joined_day || 'c' || customer_number % 100000 || '@example.com' as email,
    if(
        pick(name_bits, 16, 10) < 8,
        phone_prefix || lpad(cast(pick(name_bits, 24, 100) as varchar), 2, '0'),
        null
    ) as phone,
    first_name || ' ' || last_name as name,
    if(
        pick(name_bits, 32, 10) < 8,
        date '1945-01-01' + pick(name_bits, 36, 22000),
        null
    ) as birth_date,
    case pick(profile_bits, 16, 20)
        when 0 then null
        when 1 then 'other'
        else if(pick(profile_bits, 24, 2) = 0, 'female', 'male')
    end as gender,
    country,
    city,
    round(city_latitude + (pick(profile_bits, 28, 2000) - 1000) / 10000, 5) as latitude,
    round(city_longitude + (pick(profile_bits, 40, 2000) - 1000) / 10000, 5) as longitude,
    signup_at,
    email_opt_in and not has_opted_out as email_opt_in,
    sms_opt_in and not has_opted_out as sms_opt_in,
    if(is_member, tier, null) as loyalty_tier,
    if(is_member, version * pick(profile_bits, 32, 600), null) as loyalty_points,
    pick(profile_bits, 44, 50) = 0 as is_vip,
    cast(to_json(list_filter(
        [
            if(pick(profile_bits, 48, 10) = 0, 'corporate', null),
            if(pick(profile_bits, 52, 10) = 0, 'tasting_club', null),
            if(version = 3, 'long_standing', null)
        ],
        lambda tag: tag is not null
    )) as varchar) as tags,
    cast(json_merge_patch('{}', json_object(
        'dietary_preference', dietary_preference,
        'preferred_channel', ['email', 'sms', 'app', null][1 + pick(profile_bits, 56, 4)],
        'anniversary', if(
            pick(name_bits, 50, 5) = 0,
            strftime(date '2000-01-01' + pick(name_bits, 52, 365), '%m-%d'),
            null
        )
    )) as varchar) as attributes,
    if(
        version = 1,
        signup_at,
        utc(timezone, updated_day, 28800 + pick(profile_bits, 20, 36000))
    ) as updated_at
from described
order by updated_at, customer_id
"""

TRUE_CUSTOMERS = """
select
    user_id,
    customer_id,
    persona,
    daypart,
    week_habit,
    visits_per_day,
    is_guest,
    is_silent,
    day_of(joined_day) as joined_on,
    dropped_day <= last_joined_day as has_churned,
    if(dropped_day <= last_joined_day, day_of(dropped_day), null) as churned_on
from customers, tenant
order by customer_id
"""
_FLAGS = "is_late, is_resent, has_other_content"

BATCHES = {
    "": f"select * exclude ({_FLAGS}) from landed_events where not is_late",
    "_late": f"select * exclude ({_FLAGS}) from landed_events where is_late",
    # One in ten visits comes again with its clock corrected by a second.
    "_resent": f"""
        select
            * exclude ({_FLAGS})
                replace (created_at + to_seconds(if(has_other_content, 1, 0)) as created_at)
        from landed_events
        where is_resent""",
}

TRUTHS = {
    "late_events": """
        select user_id, id, customer_id, created_at
        from landed_events
        where is_late""",
    "duplicates": """
        select user_id, id, customer_id, created_at, has_other_content as is_conflict
        from landed_events
        where is_resent""",
}
