"""What is learned, and what is said where too little can be learned."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from history import END, START, features, frames, purchases
from threadpoolctl import threadpool_limits

from ml.backtest import backtest, measured, verdict, with_intervals
from ml.learning import hash_of
from ml.scoring import NUMBERS, _nest, score
from ml.training import Model, Past, Settings, fit

if TYPE_CHECKING:
    from datetime import date

Frames = tuple[pd.DataFrame, pd.DataFrame]
CUSTOMERS = 1_500


def fitted(features: pd.DataFrame, outcomes: pd.DataFrame, day: date) -> Model:
    past = Past(features, outcomes)
    return with_intervals(past, fit(past, pd.Timestamp(day), Settings()))


@pytest.fixture(scope="module")
def known() -> Frames:
    return frames(purchases(CUSTOMERS))


@pytest.fixture(scope="module")
def model(known: Frames) -> Model:
    return fitted(*known, END)


@pytest.fixture(scope="module")
def today(known: Frames) -> pd.DataFrame:
    return known[0][known[0]["as_of_date"] == END]


@pytest.fixture(scope="module")
def scores(model: Model, today: pd.DataFrame) -> pd.DataFrame:
    return score(model, today)


# ── A shop with enough history ────────────────────────────────────────────────────────────────


def test_everything_is_learned_where_there_is_enough(model: Model) -> None:
    assert model.reason is None
    assert [correction.horizon_days for correction in model.corrections] == [90, 180]
    assert sorted(model.stacks) == [30, 90]
    assert model.calibration is not None


def test_every_customer_has_every_figure(scores: pd.DataFrame, today: pd.DataFrame) -> None:
    assert list(scores["customer_id"]) == sorted(today["customer_id"])
    assert scores[list(NUMBERS)].notna().all(axis=None)
    assert scores["no_prediction_reason"].isna().all()
    assert (
        scores["is_cold_start"] == (scores["customer_id"].isin(today.loc[today["repeat_days"] == 0, "customer_id"]))
    ).all()


def test_longer_horizons_are_worth_more_and_totals_add_up(scores: pd.DataFrame) -> None:
    assert (scores["expected_spend_1year"] <= scores["expected_spend_3year"]).all()
    assert (scores["expected_spend_3year"] <= scores["expected_spend_5year"]).all()
    assert (scores["purchase_probability_30_days"] <= scores["purchase_probability_90_days"]).all()
    for years in (1, 3, 5):
        spend = scores[f"expected_spend_{years}year"]
        assert np.allclose(scores[f"predicted_ltv_{years}year"], scores["current_ltv"] + spend, atol=0.01)
    for over in ("90_days", "1year", "3year", "5year"):
        spend = scores[f"expected_spend_{over}"]
        assert (scores[f"expected_spend_{over}_low"] <= spend).all()
        assert (spend <= scores[f"expected_spend_{over}_high"]).all()


def test_churn_is_no_purchase_within_the_horizon(scores: pd.DataFrame) -> None:
    assert np.allclose(scores["churn_probability"], 1 - scores["purchase_probability_90_days"], atol=1e-6)
    assert scores["churn_probability"].between(0, 1).all()


def test_the_next_order_is_dated_where_it_is_more_likely_than_not(scores: pd.DataFrame) -> None:
    is_likely = scores["purchase_probability_90_days"] >= 0.5
    assert (scores["expected_next_order_date"].notna() == is_likely).all()
    days = (scores["expected_next_order_date"] - scores["as_of_date"]).dt.days[is_likely]
    assert days.between(1, 90).all()


def test_shuffled_rows_and_two_threads_give_the_same_rows(known: Frames, model: Model, scores: pd.DataFrame) -> None:
    shuffled = [frame.sample(frac=1, random_state=7) for frame in known]
    with threadpool_limits(2):
        other = fitted(*shuffled, END)
        again = score(other, shuffled[0][shuffled[0]["as_of_date"] == END])
    pd.testing.assert_frame_equal(again, scores)
    # To the last bit, too: no thread lifts the limit of another.
    (values, arrays), (others, other_arrays) = model.state(), other.state()
    assert values == others
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, other_arrays[name])


def test_the_hash_of_rows_knows_their_values_and_not_their_order(known: Frames) -> None:
    features, outcomes = known
    shuffled = features.sample(frac=1, random_state=7)
    assert hash_of(shuffled, outcomes) == hash_of(features, outcomes)
    for column, value in (("total_spend", 1.23), ("mean_gap_days", np.nan), ("customer_id", "another")):
        other = features.copy()
        other.loc[other["mean_gap_days"].notna().idxmax(), column] = value
        assert hash_of(other, outcomes) != hash_of(features, outcomes)


def test_a_customer_alone_has_the_figures_that_he_has_among_all(
    model: Model, today: pd.DataFrame, scores: pd.DataFrame
) -> None:
    some = today.sort_values("customer_id").iloc[::50]
    alone = pd.concat([score(model, some.iloc[[place]]) for place in range(len(some))], ignore_index=True)
    among = scores[scores["customer_id"].isin(some["customer_id"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, among)


def test_a_model_that_was_stored_scores_the_same(model: Model, today: pd.DataFrame, scores: pd.DataFrame) -> None:
    values, arrays = model.state()
    assert {array.dtype.kind for array in arrays.values()} <= set("fiub")
    again = Model.from_state(json.loads(json.dumps(values)), arrays)
    pd.testing.assert_frame_equal(score(again, today), scores)


def test_what_followed_the_date_is_not_learned_from(known: Frames) -> None:
    """Rows after the date change nothing: an earlier fit is the fit of the earlier rows."""
    origin = END - pd.Timedelta(days=90)
    given, followed = known
    closes = followed["as_of_date"] + pd.to_timedelta(followed["horizon_days"], unit="D")
    early = fitted(given[given["as_of_date"] <= origin], followed[closes <= origin], origin)
    late = fitted(given, followed, origin)
    values, arrays = early.state()
    again, others = late.state()
    assert values == again
    assert arrays.keys() == others.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, others[name])


def test_a_discount_makes_later_years_worth_less(model: Model, today: pd.DataFrame) -> None:
    discounted = score(replace(model, settings=Settings(discount_rate=0.1)), today)
    plain = score(model, today)
    first, fifth = (
        discounted[f"expected_spend_{years}year"].sum() / plain[f"expected_spend_{years}year"].sum() for years in (1, 5)
    )
    assert 0.9 < first < 1
    assert fifth < first


def test_the_backtest_measures_all_candidates(known: Frames, model: Model) -> None:
    past = Past(*known)
    trials = backtest(past, END, Settings())
    again = with_intervals(past, model, trials)
    assert (again.calibration, again.quarter_calibration) == (model.calibration, model.quarter_calibration)
    metrics, deciles = measured(trials)
    assert set(metrics["candidate"]) == {"shipped", "btyd", "carry_forward", "recency"}
    assert {"roc_auc", "rmse", "interval_coverage"} <= set(metrics["metric"])
    shipped = metrics[(metrics["candidate"] == "shipped") & (metrics["purchase_group"] == "all")]
    assert (shipped.loc[shipped["metric"] == "roc_auc", "value"] > 0.6).all()
    assert (deciles.groupby(["model", "origin_date", "horizon_days"])["n"].sum() > 1_000).all()


def test_a_challenger_worse_than_the_purchase_models_is_refused() -> None:
    rows = [
        ("ltv", "btyd", "rmse", "2024-01-01", 10.0),
        ("ltv", "shipped", "rmse", "2024-01-01", 11.0),
        ("ltv", "shipped", "rmse", "2023-10-01", 9.0),
        ("churn", "btyd", "log_loss", "2024-01-01", 0.5),
        ("churn", "shipped", "log_loss", "2024-01-01", 0.4),
    ]
    metrics = pd.DataFrame(rows, columns=["model", "candidate", "metric", "origin_date", "value"])
    found = verdict(metrics.assign(purchase_group="all", horizon_days=90), 90)
    assert found == {"ltv": "rmse 11 is worse than 10 of the purchase models alone", "churn": None}


# ── Too little, or strange ────────────────────────────────────────────────────────────────────


def _only(bought: pd.DataFrame) -> Frames:
    return frames(bought)


@pytest.mark.parametrize(
    ("bought", "reason"),
    [
        (purchases(200).query("customer_id == 'c00000'"), "fewer than 100 customers with a purchase"),
        (purchases(300).drop_duplicates("customer_id"), "fewer than 30 customers with a repeat purchase"),
    ],
    ids=["one customer", "all one-time buyers"],
)
def test_too_little_gives_no_figure_and_says_why(bought: pd.DataFrame, reason: str) -> None:
    given, followed = frames(bought)
    model = fitted(given, followed, END)
    scores = score(model, given[given["as_of_date"] == END])
    assert model.reason == reason
    assert model.warnings == (f"no model: {reason}",)
    assert set(scores["no_prediction_reason"]) == {reason}
    assert scores[list(NUMBERS)].isna().all(axis=None)
    assert measured(backtest(Past(given, followed), END, Settings()))[0].empty


def test_two_days_of_history_give_no_model() -> None:
    date = START + pd.Timedelta(days=1)
    bought = pd.concat([purchases(200).drop_duplicates("customer_id").assign(day=day) for day in (0, 1)])
    given = features(bought, date)
    model = fitted(given, frames(purchases(5))[1].head(0), date)
    assert model.reason == "fewer than 60 days of history"


def test_nobody_at_all_gives_no_model() -> None:
    given, followed = (frame.head(0) for frame in frames(purchases(5)))
    model = fitted(given, followed, END)
    assert model.reason == "fewer than 100 customers with a purchase"
    assert score(model, given).empty


@pytest.mark.parametrize(
    "spend",
    [
        lambda bought: bought.assign(spend=20.0),
        lambda bought: bought.assign(spend=bought["spend"].where(bought.index % 7 != 0, -50)),
        lambda bought: bought.assign(spend=bought["spend"].where(bought.index != bought.index[10], 168_469)),
        lambda bought: bought.assign(spend=0.0),
    ],
    ids=["all equal amounts", "negative net spend", "one order of 168,469", "gifts only"],
)
def test_strange_amounts_give_finite_figures(spend: object) -> None:
    given, followed = frames(spend(purchases(1_100)))
    today = given[given["as_of_date"] == END]
    model = fitted(given, followed, END)
    scores = score(model, today)
    assert model.reason is None
    assert np.isfinite(scores[list(NUMBERS)].to_numpy()).all()
    assert (scores[[name for name in NUMBERS if "spend" in name or "ltv" in name]] >= 0).all(axis=None)
    if spend.__code__.co_consts and 168_469 in spend.__code__.co_consts:
        # One huge order says little of the others: not even its half is expected of anyone else within a year.
        assert scores["expected_spend_1year"].nlargest(2).iloc[1] < 168_469 / 2


def test_without_outcomes_the_purchase_models_speak_alone(known: Frames, today: pd.DataFrame) -> None:
    model = fitted(today, known[1].head(0), END)
    scores = score(model, today)
    assert (model.corrections, model.stacks, model.calibration) == ((), {}, None)
    assert scores["churn_probability"].notna().all()
    assert scores[["confidence_score", "expected_spend_1year_low", "expected_spend_1year_high"]].isna().all(axis=None)
    assert scores["is_extrapolated"].all()


def test_no_end_of_an_interval_falls_as_the_horizon_grows(scores: pd.DataFrame) -> None:
    columns = [f"expected_spend_{over}" for over in ("90_days", "1year", "3year", "5year")]
    for end in ("low", "", "high"):
        over_time = scores[[f"{column}_{end}".rstrip("_") for column in columns]].to_numpy()
        assert (np.diff(over_time, axis=1) >= 0).all(), end


def test_ends_are_widened_and_never_narrowed() -> None:
    table = pd.DataFrame(
        {"a_low": [5.0, 1, np.nan], "b_low": [3.0, 2, 4], "a_high": [9.0, 3, np.nan], "b_high": [7, 8, 4]}
    )
    _nest(table, ["a", "b"])
    assert table["a_low"].tolist()[:2] == [3, 1]
    assert table["b_high"].tolist() == [9, 8, 4]
    assert table["b_low"].tolist() == [3, 2, 4]
    assert table["a_high"].tolist()[:2] == [9, 3]
    assert table.loc[2, ["a_low", "a_high"]].isna().all()


def test_growth_is_told_from_a_whole_year_on(model: Model, today: pd.DataFrame) -> None:
    """A calendar year of purchases ends 364 days after its first day."""
    for days, is_told in ((363, False), (364, True)):
        told = score(replace(model, history_days=days), today)["growth_potential"]
        assert told.notna().all() == is_told
        assert told.isna().all() != is_told
