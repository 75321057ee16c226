"""The small tables that the generator's SQL reads: settings, catalogue, scripts, calendar."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pandas as pd

from orchestration.sample_data.delivery import LOOK_BACK_DAYS, PRIOR_DAYS, date_of, day_number_of
from orchestration.sample_data.event_types import EVENT_TYPES
from orchestration.sample_data.visits import DEVICES, KIND_NUMBERS, MOODS, PERSONAS, SCRIPTS, SOURCES, parse_steps
from orchestration.sample_data.world_sql import CREATE_CUSTOMERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    import duckdb

    from orchestration.sample_data.delivery import Delivery, Span
    from orchestration.sample_data.tenants import Tenant
    from orchestration.sample_data.visits import Script, Step

_SLOTS = 1000  # resolution of the script weights


def prepare_tables(con: duckdb.DuckDBPyConnection, delivery: Delivery) -> None:
    """Create the temporary tables: the tenant's settings, catalogue, scripts and customers."""
    tenant = delivery.tenant
    scalars = {key: value for key, value in asdict(tenant).items() if isinstance(value, str | int | float | bool)}
    create_table(
        con,
        "tenant",
        [
            scalars
            | {
                "first_names": list(tenant.first_names),
                "last_names": list(tenant.last_names),
                "personas": [name for name, share in PERSONAS.items() for _ in range(share)],
                "city_count": len(tenant.cities),
                "category_count": len(tenant.products),
                "joiners_per_day": _joiners_per_day(tenant, delivery.days, delivery.events),
                "first_joined_day": delivery.first_day - PRIOR_DAYS,
                "last_joined_day": max(delivery.last_day, day_number_of(delivery.only_day or delivery.until)),
            }
        ],
    )
    con.execute(
        "alter table tenant add column tenant_hash ubigint; "
        "update tenant set tenant_hash = draw(cast($seed as bigint), user_id)",
        {"seed": delivery.seed},
    )
    _create_lookup(con, "cities", _city_rows(tenant))
    _create_lookup(con, "products", _product_rows(tenant))
    create_table(con, "plans", _plan_rows(tenant))
    create_table(con, "kinds", _kind_rows(tenant))
    _create_lookup(con, "devices", _device_rows())
    _create_lookup(con, "sources", _source_rows())
    _create_lookup(con, "event_types", _event_type_rows())
    scripts = SCRIPTS[tenant.org_type]
    create_table(con, "scripts", _script_rows(scripts))
    create_table(con, "script_steps", _step_rows(scripts))
    create_table(con, "script_slots", _slot_rows(scripts))
    con.execute(CREATE_CUSTOMERS)


def create_table(con: duckdb.DuckDBPyConnection, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Create a temporary table, or create it anew, from rows."""
    _create_from_frame(con, name, pd.DataFrame(rows))


def _create_lookup(con: duckdb.DuckDBPyConnection, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Create a table whose texts are enums: an event carries their codes (sorting costs 40 % less)."""
    frame = pd.DataFrame(rows)
    texts = [column for column in frame.columns if pd.api.types.is_string_dtype(frame[column])]
    _create_from_frame(con, name, frame.astype(dict.fromkeys(texts, "category")))


def _create_from_frame(con: duckdb.DuckDBPyConnection, name: str, frame: pd.DataFrame) -> None:
    con.register("incoming", frame)
    con.execute(f"create or replace temp table {name} as from incoming")
    con.unregister("incoming")


def _joiners_per_day(tenant: Tenant, days: int, events: float) -> float:
    """Solve events = joiners per day * active days of a daily joiner * events per active day.

    A customer who joined t days ago is still active with the Lomax survival (1 + t/scale)^-shape.
    """
    survival = [(1 + age / tenant.lifetime_scale_days) ** -tenant.lifetime_shape for age in range(PRIOR_DAYS + days)]
    active_by_age = list(itertools.accumulate(survival))
    active_days = sum(active_by_age[PRIOR_DAYS:])
    return events / (active_days * tenant.events_per_active_day)


def _city_rows(tenant: Tenant) -> list[dict[str, Any]]:
    return [
        {
            "city_number": number,
            "city": city.name,
            "city_latitude": city.latitude,
            "city_longitude": city.longitude,
            "location": json.dumps(
                {
                    "country": tenant.country,
                    "city": city.name,
                    "latitude": city.latitude,
                    "longitude": city.longitude,
                },
                ensure_ascii=False,
            ),
        }
        for number, city in enumerate(tenant.cities)
    ]


def _product_rows(tenant: Tenant) -> list[dict[str, Any]]:
    """Fifteen products per category, each also as the first of a basket of three of its category and brand."""
    catalogue = [
        {
            "product_id": f"{tenant.prefix}-p{15 * category_number + item:03d}",
            "product_name": f"{tenant.grades[item // 3]} {products.nouns[item % 3]}",
            "product_category": products.category,
            "brand": tenant.brands[item % 5],
            "price_cents": round(10 * products.low_price * (products.high_price / products.low_price) ** (item / 14))
            * 10
            - 1,
        }
        for category_number, products in enumerate(tenant.products)
        for item in range(15)
    ]
    rows = []
    for number, product in enumerate(catalogue):
        first_of_category = number - number % 15
        basket = [catalogue[first_of_category + (number + step) % 15] for step in (0, 5, 10)]
        full, sale = _basket_lines(basket, 0), _basket_lines(basket, 20)
        rows.append(
            {
                "product_number": number,
                **product,
                "basket_lines": json.dumps([line for _, line in full]),
                "basket_cents": sum(cents for cents, _ in full),
                "basket_sale_lines": json.dumps([line for _, line in sale]),
                "basket_sale_cents": sum(cents for cents, _ in sale),
            }
        )
    return rows


def _basket_lines(products: Sequence[Mapping[str, Any]], discount_percent: int) -> list[tuple[int, dict[str, Any]]]:
    """Return (charged cents, line as in `event_properties.lines`) of one piece of each product."""
    lines = []
    for product in products:
        charged = product["price_cents"] * (100 - discount_percent) // 100
        line = {
            "product_id": product["product_id"],
            "product_name": product["product_name"],
            "product_category": product["product_category"],
            "brand": product["brand"],
            "quantity": 1,
            "value": charged / 100,
            "discount": (product["price_cents"] - charged) / 100,
        }
        lines.append((charged, line))
    return lines


def _plan_rows(tenant: Tenant) -> list[dict[str, Any]]:
    """Monthly plans by grade; at a bank, the monthly fee of an account."""
    is_telecom = tenant.org_type == "telecom"
    return [
        {
            "plan_number": number,
            "plan_name": grade,
            "plan_mb": 2000 * 2**number if is_telecom else None,
            "monthly_fee_cents": 1900 + 1500 * number,
        }
        for number, grade in enumerate(tenant.grades)
    ]


def _kind_rows(tenant: Tenant) -> list[dict[str, Any]]:
    """List the kinds of visits that the tenant knows; `per_visit` is a habit's relative rate."""
    per_visit = {"visit": 1.0, "message": 0.0}
    if tenant.usage_per_visit:
        per_visit["usage"] = tenant.usage_per_visit
    if tenant.is_billed:
        per_visit["bill"] = 0.0
    if tenant.org_type == "telecom":
        per_visit["plan"] = 0.0
    return [{"kind": kind, "kind_number": KIND_NUMBERS[kind], "per_visit": rate} for kind, rate in per_visit.items()]


def _device_rows() -> list[dict[str, Any]]:
    return [{"device_number": number, **device._asdict()} for number, device in enumerate(DEVICES)]


def _source_rows() -> list[dict[str, Any]]:
    rows = []
    for entry, sources in itertools.groupby(SOURCES, lambda source: source.entry):
        drawn = [source for source in sources for _ in range(source.draws)]
        rows += [
            {
                "entry": entry,
                "slot": slot,
                "referrer_url": source.referrer_url,
                "query": source.query,
            }
            for slot, source in enumerate(drawn)
        ]
    return rows


def _event_type_rows() -> list[dict[str, Any]]:
    return [
        {
            "type_number": number,
            "event_type": name.partition(".")[0],
            "event_category": event_type.category,
            "has_product": event_type.has_product,
            "in_session": event_type.path is not None,
        }
        for number, (name, event_type) in enumerate(EVENT_TYPES.items())
    ]


def _entry_position(steps: Sequence[Step]) -> int | None:
    """Position of the step that opens the session, if there is a session."""
    return next((position for position, step in enumerate(steps) if EVENT_TYPES[step.name].path), None)


def _script_rows(scripts: Sequence[Script]) -> list[dict[str, Any]]:
    entries = {source.entry for source in SOURCES}
    rows = []
    for number, script in enumerate(scripts):
        steps = parse_steps(script)
        position = _entry_position(steps)
        opening = "other" if position is None else steps[position].name
        rows.append(
            {
                "script_id": number,
                "entry": opening if opening in entries else "other",
                "longest_delay_days": max(step.day_offset for step in steps),
            }
        )
    return rows


def _step_rows(scripts: Sequence[Script]) -> list[dict[str, Any]]:
    type_numbers = {name: number for number, name in enumerate(EVENT_TYPES)}
    return [
        {
            "script_id": number,
            "step_number": position + 1,
            "type_number": type_numbers[step.name],
            "line": step.line,
            "day_offset": step.day_offset,
            "hour_offset": step.hour_offset,
            "is_entry": position == _entry_position(parse_steps(script)),
        }
        for number, script in enumerate(scripts)
        for position, step in enumerate(parse_steps(script))
    ]


def _slot_rows(scripts: Sequence[Script]) -> list[dict[str, Any]]:
    """Share the slots of each (kind, mood) among its scripts in proportion to their weights."""
    rows = []
    for kind, mood in itertools.product(KIND_NUMBERS, MOODS):
        weights = [script.weight * MOODS[mood].get(script.theme, 1) if script.kind == kind else 0 for script in scripts]
        total = sum(weights)
        if not total:
            continue
        bounds = [round(_SLOTS * bound / total) for bound in itertools.accumulate(weights)]
        script_id = 0
        for slot in range(_SLOTS):
            while slot >= bounds[script_id]:
                script_id += 1
            rows.append({"kind": kind, "mood": mood, "slot": slot, "script_id": script_id})
    return rows


def _day_factor(tenant: Tenant, day: date) -> float:
    """Weekly habit * yearly season: a summer dip, and a fourth quarter about a quarter higher."""
    yearly = 1 + 0.12 * math.cos(2 * math.pi * (day.timetuple().tm_yday - 350) / 365.25)
    holidays = 1.35 if (11, 20) <= (day.month, day.day) <= (12, 24) else 1.0
    return tenant.weekday_factors[day.weekday()] * yearly * holidays


def calendar_rows(delivery: Delivery, span: Span) -> list[dict[str, Any]]:
    """Days whose visits may still bring events that land within the span."""
    first_day = max(delivery.first_day, span.first_day - LOOK_BACK_DAYS)
    rows = []
    for number in range(first_day, span.last_day + 1):
        day = date_of(number)
        rows.append(
            {
                "day_number": number,
                "month_number": day.month,
                "day_of_month": day.day,
                "weekday": day.isoweekday(),
                "is_weekend": day.isoweekday() > 5,  # noqa: PLR2004 - Saturday and Sunday
                "day_factor": _day_factor(delivery.tenant, day),
            }
        )
    return rows
