"""What happens during one of the generator's visits: scripts and who follows them, sources, devices."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from orchestration.sample_data.event_types import EVENT_TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping


class Script(NamedTuple):
    """One way in which a visit goes.

    `steps` are words "type[.variant][:line][@delay]": an event type, the order line it is about
    (default 1), and how much later than the visit it comes, in days ("9d") or hours ("2h").
    `theme` says which customers do it more or less often (`MOODS`).
    """

    kind: str
    theme: str
    weight: float
    steps: str


_LETTERS = (
    Script("message", "ignore", 66, "email_sent"),
    Script("message", "ignore", 8, "sms_sent"),
    Script("message", "respond", 18, "email_sent email_open@2h"),
    Script("message", "respond", 4, "email_sent email_open@2h email_click@2h page_view@2h"),
    Script("message", "respond", 1, "sms_sent sms_click@1h page_view@1h product_view@1h"),
)

_ANYWHERE = (
    Script("visit", "browse", 6, "ad_click page_view product_view"),
    Script("visit", "browse", 3, "social_click page_view product_view"),
    Script("visit", "fond", 0.6, "page_view referral_sent"),
    Script("visit", "fond", 0.5, "page_view referral_sent referral_converted@7d"),
    Script("visit", "browse", 0.8, "page_view survey_response.nps"),
    Script("visit", "care", 0.8, "page_view support_ticket ticket_resolved@2d"),
    Script("visit", "care", 0.3, "page_view support_ticket"),
    Script("visit", "care", 0.3, "page_view feedback"),
    Script("visit", "fond", 0.6, "page_view product_view review share"),
)

_BILLS = (
    Script("bill", "ignore", 88, "bill payment@5d"),
    Script("bill", "care", 5, "bill payment@9d"),
    Script("bill", "care", 3, "bill payment@13d"),
    Script("bill", "care", 2, "bill billing_complaint@1d ticket_resolved@3d payment@11d"),
)

SCRIPTS: Mapping[str, tuple[Script, ...]] = {
    "ecommerce": (
        *_ANYWHERE,
        *_LETTERS,
        Script("visit", "browse", 12, "page_view"),
        Script("visit", "compare", 16, "page_view product_view:1 product_view:2"),
        Script("visit", "compare", 8, "page_view product_view:2 product_view:3 page_view"),
        Script("visit", "browse", 4, "page_view product_view wishlist"),
        Script("visit", "browse", 7, "page_view product_view add_to_cart"),
        Script("visit", "browse", 3, "product_view add_to_cart checkout"),
        Script("visit", "buy", 9, "page_view product_view add_to_cart checkout purchase"),
        Script("visit", "buy", 5, "product_view add_to_cart checkout purchase points_earned"),
        Script("visit", "buy", 3, "ad_click product_view add_to_cart purchase"),
        Script("visit", "buy", 5, "product_view add_to_cart checkout purchase:1 purchase:2"),
        Script("visit", "buy", 3, "page_view checkout purchase:1 purchase:2 purchase:3"),
        Script("visit", "buy", 4, "page_view add_to_cart checkout purchase.basket"),
        Script("visit", "buy", 2, "page_view add_to_cart coupon_redeemed purchase"),
        Script("visit", "buy", 1.5, "page_view add_to_cart points_redeemed purchase"),
        Script("visit", "buy", 2.5, "product_view add_to_cart checkout purchase review@6d"),
        Script("visit", "buy", 1, "product_view add_to_cart checkout purchase share"),
        Script("visit", "buy", 1.5, "add_to_cart checkout purchase survey_response@3d"),
        Script("visit", "buy", 1.5, "page_view checkout purchase:1 purchase:2 return:2@9d"),
        Script("visit", "care", 0.7, "product_view add_to_cart checkout purchase return@13d"),
        Script(
            "visit",
            "care",
            0.7,
            "product_view checkout purchase support_ticket@2d refund@4d ticket_resolved@4d",
        ),
        Script(
            "message",
            "buy",
            1.5,
            "email_sent email_open@2h email_click@2h product_view@2h checkout@2h purchase@2h",
        ),
    ),
    "banking": (
        *_ANYWHERE,
        *_LETTERS,
        *_BILLS,
        Script("visit", "browse", 22, "login balance_check"),
        Script("visit", "browse", 10, "login balance_check feature_used"),
        Script("visit", "browse", 14, "login balance_check transfer"),
        Script("visit", "browse", 7, "login feature_used feature_used"),
        Script("visit", "browse", 6, "page_view product_view:1 product_view:2"),
        Script("visit", "browse", 2, "login product_view add_to_cart"),
        Script("visit", "buy", 7, "login product_view add_to_cart checkout purchase"),
        Script("visit", "buy", 2, "login product_view checkout purchase points_earned"),
        Script("visit", "buy", 1, "login checkout purchase:1 purchase:2"),
        Script("visit", "buy", 1.5, "login product_view product_opened"),
        Script("visit", "buy", 1, "login product_view checkout purchase survey_response@3d"),
        Script("visit", "care", 0.6, "login product_view checkout purchase refund@8d"),
        Script("visit", "care", 0.6, "login survey_response support_ticket ticket_resolved@1d"),
        Script("usage", "browse", 55, "transaction"),
        Script("usage", "browse", 30, "transaction transaction@3h"),
        Script("usage", "browse", 15, "transaction transaction@2h transaction@5h"),
    ),
    "telecom": (
        *_ANYWHERE,
        *_LETTERS,
        *_BILLS,
        Script("visit", "browse", 18, "login balance_check"),
        Script("visit", "browse", 12, "login feature_used"),
        Script("visit", "browse", 8, "page_view product_view:1 product_view:2"),
        Script("visit", "browse", 3, "product_view add_to_cart"),
        Script("visit", "buy", 9, "login product_view purchase.single"),
        Script("visit", "buy", 5, "page_view product_view add_to_cart checkout purchase"),
        Script("visit", "buy", 2, "login points_redeemed purchase:1 points_earned"),
        Script("visit", "buy", 1, "login product_view checkout purchase survey_response@3d"),
        Script("visit", "care", 0.8, "login product_view checkout purchase return@10d"),
        Script("visit", "care", 1.5, "login billing_complaint ticket_resolved@2d"),
        Script("usage", "browse", 40, "data_usage"),
        Script("usage", "browse", 25, "data_usage call@2h"),
        Script("usage", "browse", 20, "data_usage call@1h sms_usage@4h"),
        Script("usage", "browse", 12, "call sms_usage@2h"),
        Script("usage", "browse", 3, "roaming data_usage@2h call@4h"),
        Script("plan", "browse", 1, "plan_change"),
    ),
}

# How much more often a customer in a mood follows scripts of a theme (default 1).
MOODS: Mapping[str, Mapping[str, float]] = {
    "regular": {},
    "frequent_buyer": {"buy": 2.5},
    "bargain_hunter": {"buy": 1.2, "respond": 1.5},
    "brand_loyal": {"buy": 1.5, "fond": 4},
    "window_shopper": {"buy": 0, "care": 0, "compare": 3},
    "seasonal_on": {"buy": 4},
    "seasonal_off": {"buy": 0, "care": 0, "compare": 0.3},
    "looking": {"buy": 0, "care": 0, "compare": 0.3},
    "leaving": {"buy": 0.5, "care": 4, "respond": 0.3, "fond": 0.1},
    "gone": {"respond": 0, "buy": 0},
}

# Personas per hundred customers; `regular` is none of the five named behaviours.
PERSONAS: Mapping[str, int] = {
    "regular": 45,
    "frequent_buyer": 10,
    "bargain_hunter": 15,
    "brand_loyal": 10,
    "window_shopper": 12,
    "seasonal_buyer": 8,
}
KIND_NUMBERS = {"visit": 1, "usage": 2, "message": 3, "bill": 4, "plan": 5}


class Source(NamedTuple):
    """Where a session comes from, by its first event; ten draws share the rows of an entry."""

    entry: str
    draws: int
    referrer_url: str | None
    query: str


SOURCES = (
    Source("ad_click", 4, "https://www.google.com/", "utm_source=google&utm_medium=cpc"),
    Source("ad_click", 3, "https://www.facebook.com/", "utm_source=facebook&utm_medium=paid_social"),
    Source("ad_click", 2, "https://www.bing.com/", "utm_source=bing&utm_medium=cpc"),
    Source("ad_click", 1, "https://news.example.org/", "utm_source=news&utm_medium=display"),
    Source("social_click", 6, "https://www.instagram.com/", "utm_source=instagram&utm_medium=social"),
    Source("social_click", 4, "https://www.tiktok.com/", "utm_source=tiktok&utm_medium=social"),
    Source("email_click", 10, None, "utm_source=newsletter&utm_medium=email"),
    Source("sms_click", 10, None, "utm_source=newsletter&utm_medium=sms"),
    Source("other", 5, None, ""),
    Source("other", 3, "https://www.google.com/", ""),
    Source("other", 1, "https://duckduckgo.com/", ""),
    Source("other", 1, "https://blog.example.org/", ""),
)


class Device(NamedTuple):
    """A device as the event columns describe it."""

    device_type: str
    browser: str
    os: str
    user_agent: str


_WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"

DEVICES = (
    Device(
        "mobile",
        "Safari",
        "iOS",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
        "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
    ),
    Device(
        "mobile",
        "Chrome",
        "Android",
        f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {_WEBKIT} Chrome/126.0.6478.122 Mobile Safari/537.36",
    ),
    Device(
        "desktop",
        "Chrome",
        "Windows",
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/126.0.6478.127 Safari/537.36",
    ),
    Device(
        "desktop",
        "Firefox",
        "Linux",
        "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
    ),
    Device(
        "desktop",
        "Safari",
        "macOS",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 "
        "(KHTML, like Gecko) Version/17.5 Safari/605.1.15",
    ),
    Device(
        "tablet",
        "Safari",
        "iOS",
        "Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
        "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
    ),
)


class Step(NamedTuple):
    """A parsed word of a script."""

    name: str
    line: int
    day_offset: int
    hour_offset: int


_STEP_PATTERN = re.compile(r"(?P<name>[a-z_.]+)(:(?P<line>\d))?(@(?P<delay>\d+)(?P<unit>[dh]))?", re.ASCII)


def parse_steps(script: Script) -> list[Step]:
    """Parse the words of a script; a malformed word or an unknown event type is an error."""
    steps = []
    for word in script.steps.split():
        match = _STEP_PATTERN.fullmatch(word)
        if match is None or match["name"] not in EVENT_TYPES:
            raise ValueError(f"not a step of a script: {word!r}")
        delay = int(match["delay"] or 0)
        steps.append(
            Step(
                name=match["name"],
                line=int(match["line"] or 1),
                day_offset=delay if match["unit"] == "d" else 0,
                hour_offset=delay if match["unit"] == "h" else 0,
            )
        )
    return steps
