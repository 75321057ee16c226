"""The generator's event types: which columns they fill, and with what."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class EventType:
    """What an event of a type carries.

    category: event_category; 'visit' = website or mobile_app, as the visit's device has it.
    path: page path as SQL; a type with a path happens within a session on a device.
    has_product: fills the product columns.
    value: event_value in cents as SQL.
    properties: JSON key → SQL over the columns of `CREATE_EVENTS`.
    """

    category: str | None = "visit"
    path: str | None = None
    has_product: bool = False
    value: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)


_ORDER_LINE = {
    "order_id": "order_id",
    "quantity": "quantity",
    "discount": "money(list_cents - charged_cents)",
    "brand": "brand",
}
_MESSAGE = {"campaign_id": "campaign_id", "message_id": "message_id"}
_NETWORK = "['instagram', 'facebook', 'tiktok'][1 + pick(event_bits, 8, 3)]"

_SCORE_NPS = (
    "if(mood = 'leaving', [2, 4, 6, 7, 0, 5, 3, 8, 6, 1], [10, 9, 9, 8, 8, 7, 10, 6, 5, 9])"
    "[1 + pick(event_bits, 8, 10)]"
)
_SCORE_FIVE = "if(mood = 'leaving', [1, 2, 2, 3, 4, 1, 5], [5, 5, 4, 4, 3, 5, 2])[1 + pick(event_bits, 8, 7)]"


def _comment(is_content: str) -> str:
    """Build the SQL of a comment from the SQL of whether the customer is content."""
    return f"if({is_content}, 'all good, thank you', 'not what I hoped for')"


_PURCHASE = EventType(path="'/checkout/thanks'", has_product=True, value="charged_cents", properties=_ORDER_LINE)

_SURVEY = EventType(
    path="'/survey'",
    properties={"survey_type": "'csat'", "score": _SCORE_FIVE, "comment": _comment(f"{_SCORE_FIVE} >= 4")},
)

# "type.variant" is a type with other properties.
EVENT_TYPES: Mapping[str, EventType] = {
    # on the site or in the app
    "page_view": EventType(path="['/', '/offers', '/new', '/help', '/account'][1 + pick(event_bits, 8, 5)]"),
    "product_view": EventType(path="'/products/' || product_id", has_product=True),
    "add_to_cart": EventType(path="'/cart'", has_product=True, properties={"quantity": "quantity", "brand": "brand"}),
    "checkout": EventType(path="'/checkout'"),
    "wishlist": EventType(path="'/wishlist'", has_product=True),
    "review": EventType(
        path="'/products/' || product_id || '/review'",
        has_product=True,
        properties={"rating": _SCORE_FIVE, "comment": _comment(f"{_SCORE_FIVE} >= 4")},
    ),
    "share": EventType(
        category="social_media",
        path="'/products/' || product_id",
        has_product=True,
        properties={"network": _NETWORK},
    ),
    "login": EventType(
        path="'/login'",
        properties={"method": "['password', 'biometric'][1 + pick(event_bits, 8, 2)]"},
    ),
    "feature_used": EventType(
        path="'/account/features'",
        properties={
            "feature": "['statements', 'budgeting', 'alerts', 'card_controls', 'plan_usage', "
            "'autopay'][1 + pick(event_bits, 8, 6)]"
        },
    ),
    "balance_check": EventType(path="'/account/balance'"),
    # buying and giving back
    "purchase": _PURCHASE,
    "purchase.single": replace(
        _PURCHASE,
        properties={key: sql for key, sql in _ORDER_LINE.items() if key != "order_id"},
    ),
    "purchase.basket": replace(
        _PURCHASE,
        has_product=False,
        value="if(has_discount, basket_sale_cents, basket_cents)",
        properties={
            "order_id": "order_id",
            "discount": "money(if(has_discount, basket_cents - basket_sale_cents, 0))",
            "lines": "cast(if(has_discount, basket_sale_lines, basket_lines) as json)",
        },
    ),
    "refund": EventType(
        category=None,
        has_product=True,
        value="charged_cents // 2",
        properties={"order_id": "order_id", "reason": "'late or damaged'"},
    ),
    "return": EventType(
        category=None,
        has_product=True,
        value="charged_cents",
        properties={
            "order_id": "order_id",
            "quantity": "quantity",
            "reason": "['not as described', 'changed my mind'][1 + pick(event_bits, 8, 2)]",
        },
    ),
    "coupon_redeemed": EventType(
        path="'/cart'",
        properties={"campaign_id": "campaign_id", "coupon_id": "'SAVE' || pick(visit_bits, 8, 9)"},
    ),
    "points_earned": EventType(category=None, properties={"points": "charged_cents // 100", "order_id": "order_id"}),
    "points_redeemed": EventType(path="'/cart'", properties={"points": "100 * (1 + pick(event_bits, 8, 5))"}),
    # messages, social media and ads
    "email_sent": EventType(category="email", properties=_MESSAGE),
    "email_open": EventType(category="email", properties=_MESSAGE),
    "email_click": EventType(category="email", path="'/offers'", properties=_MESSAGE),
    "sms_sent": EventType(category="sms", properties={**_MESSAGE, "cost": "money(5)"}),
    "sms_click": EventType(category="sms", path="'/offers'", properties=_MESSAGE),
    "social_click": EventType(category="social_media", path="'/'"),
    "ad_click": EventType(category="ads", path="'/offers'"),
    "referral_sent": EventType(path="'/refer'", properties={"referral_id": "referral_id"}),
    "referral_converted": EventType(category=None, properties={"referral_id": "referral_id", "points": "250"}),
    # service and opinion
    "support_ticket": EventType(
        path="'/help/contact'",
        properties={
            "ticket_id": "ticket_id",
            "topic": "['delivery', 'account', 'invoice', 'quality'][1 + pick(visit_bits, 8, 4)]",
        },
    ),
    "ticket_resolved": EventType(
        category=None,
        properties={"ticket_id": "ticket_id", "resolution_days": "day_offset"},
    ),
    "billing_complaint": EventType(
        path="'/help/billing'",
        properties={"ticket_id": "ticket_id", "amount": "money(monthly_fee_cents)"},
    ),
    "survey_response": _SURVEY,
    "survey_response.nps": replace(
        _SURVEY, properties={"survey_type": "'nps'", "score": _SCORE_NPS, "comment": _comment(f"{_SCORE_NPS} >= 7")}
    ),
    "feedback": EventType(path="'/help/feedback'", properties={"comment": _comment("mood != 'leaving'")}),
    # banking
    "transaction": EventType(
        category=None,
        value="cast(100 * exp(1.1 + 4.6 * uniform(event_bits)) as bigint)",
        properties={
            "merchant_category": "['groceries', 'fuel', 'dining', 'rent', 'travel', 'health'][1 "
            "+ pick(event_bits, 0, 6)]",
            "product": "['current_account', 'current_account', 'credit_card', 'savings'][1 + pick(event_bits, 16, 4)]",
        },
    ),
    "transfer": EventType(
        path="'/transfers'",
        value="cast(100 * exp(2.5 + 5 * uniform(event_bits)) as bigint)",
        properties={"direction": "if(pick(event_bits, 0, 4) = 0, 'in', 'out')"},
    ),
    "payment": EventType(
        category=None,
        value="monthly_fee_cents",
        properties={
            "days_late": "greatest(day_offset - 5, 0)",
            "due_date": "cast(visit_date + 5 as varchar)",
        },
    ),
    "bill": EventType(
        category=None,
        value="monthly_fee_cents",
        properties={"plan": "plan_name", "plan_mb": "plan_mb"},
    ),
    "product_opened": EventType(path="'/account/open'", has_product=True, properties={"product": "product_category"}),
    # telecom
    "call": EventType(
        category=None,
        properties={"minutes": "1 + pick(event_bits, 8, 45)", "is_roaming": "false"},
    ),
    "sms_usage": EventType(
        category=None,
        properties={"is_roaming": "false"},
    ),
    "data_usage": EventType(
        category=None,
        properties={
            "mb": "1 + cast(plan_mb * 0.08 * uniform(event_bits) ** 2 as integer)",
            "plan": "plan_name",
            "plan_mb": "plan_mb",
            "is_roaming": "false",
        },
    ),
    "roaming": EventType(
        category=None,
        properties={
            "roaming_country": "['AU', 'FJ', 'SG', 'US'][1 + pick(visit_bits, 8, 4)]",
            "mb": "1 + pick(event_bits, 8, 400)",
            "cost": "money(100 + pick(event_bits, 24, 2400))",
            "is_roaming": "true",
        },
    ),
    "plan_change": EventType(
        category=None,
        properties={
            "plan": "plan_name",
            "plan_mb": "plan_mb",
            "monthly_fee": "money(monthly_fee_cents)",
        },
    ),
}
