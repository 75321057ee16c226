"""The models of purchases: against the field's published estimates, brute force, and histories of known parameters."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.stats import beta as beta_distribution

from ml import btyd
from ml.btyd import (
    BgNbd,
    BtydError,
    Fit,
    GammaGamma,
    Histories,
    Nbd,
    ParetoNbd,
    fit_bg_nbd,
    fit_gamma_gamma,
    fit_nbd,
    fit_pareto_nbd,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GIVEN = Fit(0.0, 0)
BG_NBD = BgNbd(0.243, 4.414, 0.793, 2.426, GIVEN)
PARETO_NBD = ParetoNbd(0.553, 10.578, 0.606, 11.669, GIVEN)
MODELS = [BG_NBD, PARETO_NBD, Nbd(0.385, 12.072, GIVEN)]
CUSTOMERS = 40_000


# ── The oracle: CDNOW, the 1/10 sample, 39 weeks ──────────────────────────────────────────────


@pytest.fixture(scope="module")
def cdnow(data: Path) -> pd.DataFrame:
    """Return customer-days of the sample until 1997-09-30: sample_id, date, value."""
    names = ["master_id", "sample_id", "date", "count", "value"]
    lines = pd.read_csv(data / "cdnow" / "CDNOW_sample.txt", sep=r"\s+", header=None, names=names)
    lines["date"] = pd.to_datetime(lines["date"].astype(str))
    return lines[lines["date"] <= "1997-09-30"].groupby(["sample_id", "date"], as_index=False)["value"].sum()


@pytest.fixture(scope="module")
def cdnow_histories(cdnow: pd.DataFrame) -> Histories:
    days = cdnow.groupby("sample_id")["date"].agg(["size", "min", "max"])
    age = (pd.Timestamp("1997-09-30") - days["min"]).dt.days
    return Histories.from_days(days["size"] - 1, (days["max"] - days["min"]).dt.days, age)


@pytest.mark.data
def test_bg_nbd_finds_the_published_estimates(cdnow_histories: Histories) -> None:
    model = fit_bg_nbd(cdnow_histories)
    assert isinstance(model, BgNbd)
    assert [round(value, 3) for value in (model.r, model.alpha, model.a, model.b)] == [0.243, 4.414, 0.793, 2.426]
    assert model.fit.log_likelihood == pytest.approx(-9582.43, abs=0.005)
    assert (model.fit.customers, model.fit.is_converged, model.fit.warning) == (2357, True, None)


@pytest.mark.data
def test_pareto_nbd_finds_the_published_estimates(cdnow_histories: Histories) -> None:
    model = fit_pareto_nbd(cdnow_histories)
    assert isinstance(model, ParetoNbd)
    assert [round(value, 3) for value in (model.r, model.alpha, model.s, model.beta)] == [0.553, 10.578, 0.606, 11.669]
    assert model.fit.log_likelihood == pytest.approx(-9594.976, abs=0.005)
    assert (model.fit.is_converged, model.fit.warning) == (True, None)


@pytest.mark.data
def test_gamma_gamma_finds_the_published_estimates(cdnow: pd.DataFrame) -> None:
    is_repeat = cdnow["date"] > cdnow.groupby("sample_id")["date"].transform("min")
    spends = cdnow[is_repeat].groupby("sample_id")["value"].agg(["size", "mean"])
    model = fit_gamma_gamma(spends["size"], spends["mean"])
    assert [round(value, 2) for value in (model.p, model.q, model.gamma)] == [6.25, 3.74, 15.44]
    assert model.fit.customers == 946
    assert model.fit.log_likelihood == pytest.approx(-4055.918, abs=0.005)


# ── Known parameters come back ────────────────────────────────────────────────────────────────


def made_bg_nbd(chance: np.random.Generator, customers: int) -> tuple[np.ndarray, ...]:
    rate, drop_out = chance.gamma(0.6, 1 / 6, customers), chance.beta(0.9, 2.5, customers)
    return _lived(chance, rate, drop_out, np.full(customers, np.inf))


def made_pareto_nbd(chance: np.random.Generator, customers: int) -> tuple[np.ndarray, ...]:
    rate, death = chance.gamma(0.6, 1 / 6, customers), chance.gamma(0.8, 1 / 20, customers)
    return _lived(chance, rate, np.zeros(customers), chance.exponential(1 / death))


def _lived(
    chance: np.random.Generator, rate: np.ndarray, drop_out: np.ndarray, life: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Return x, t_x, T in weeks, and the purchases in the 26 weeks after T."""
    customers = len(rate)
    age = chance.integers(1, 105, customers).astype(float)
    now, recency = np.zeros(customers), np.zeros(customers)
    repeats, later = np.zeros(customers), np.zeros(customers)
    active = np.arange(customers)
    while len(active):
        now[active] += chance.exponential(1 / rate[active])
        active = active[(now[active] < life[active]) & (now[active] <= age[active] + 26)]
        is_before = now[active] <= age[active]
        before = active[is_before]
        repeats[before] += 1
        recency[before] = now[before]
        later[active[~is_before]] += 1
        active = active[chance.random(len(active)) >= drop_out[active]]
    return repeats, recency, age, later


def exact(repeats: np.ndarray, recency: np.ndarray, age: np.ndarray) -> Histories:
    """Return histories of unrounded weeks, one per customer."""
    return Histories(repeats, recency, age, np.ones(len(age)), np.arange(len(age)))


@pytest.fixture(scope="module", params=["bg", "pareto"])
def known(request: pytest.FixtureRequest) -> tuple[BgNbd | ParetoNbd | Nbd, dict[str, float], Histories, np.ndarray]:
    """Return a fitted model, the parameters behind its data, the histories, and what followed."""
    chance = np.random.default_rng(7)
    if request.param == "bg":
        repeats, recency, age, later = made_bg_nbd(chance, CUSTOMERS)
        histories, truth = exact(repeats, recency, age), {"r": 0.6, "alpha": 6.0, "a": 0.9, "b": 2.5}
        return fit_bg_nbd(histories), truth, histories, later
    repeats, recency, age, later = made_pareto_nbd(chance, CUSTOMERS)
    histories, truth = exact(repeats, recency, age), {"r": 0.6, "alpha": 6.0, "s": 0.8, "beta": 20.0}
    return fit_pareto_nbd(histories), truth, histories, later


def test_known_parameters_are_found_within_their_errors(known: tuple) -> None:
    model, truth, _, _ = known
    assert model.fit.is_converged
    for name, value in truth.items():
        error = model.fit.standard_errors[name]
        assert error < 0.1 * value
        assert abs(getattr(model, name) - value) < 3 * error


def test_forecasts_hold_for_every_group(known: tuple) -> None:
    model, _, histories, later = known
    expected, some = model.expected_purchases(histories, 26), model.probability_of_purchase(histories, 26)
    for is_in in (
        histories.repeats == 0,
        histories.repeats == 1,
        histories.repeats > 5,
        some < 0.05,
        some > 0.8,
        model.probability_alive(histories) < 0.5,
    ):
        count = is_in.sum()
        assert count > 500
        assert abs((later[is_in] - expected[is_in]).mean()) < 4 * later[is_in].std() / np.sqrt(count)
        chances = some[is_in]
        assert abs(((later[is_in] > 0) - chances).mean()) < 4 * np.sqrt((chances * (1 - chances)).mean() / count)


def test_known_spends_are_found_within_their_errors() -> None:
    chance = np.random.default_rng(5)
    count = 20_000
    purchases = chance.integers(1, 8, count)
    scale = chance.gamma(3.7, 1 / 15.0, count)
    spend = chance.gamma(6.0 * purchases) / scale / purchases
    model = fit_gamma_gamma(purchases, spend)
    for name, value in {"p": 6.0, "q": 3.7, "gamma": 15.0}.items():
        assert abs(getattr(model, name) - value) < 3 * model.fit.standard_errors[name] < 0.3 * value
    next_spend = chance.gamma(6.0, 1 / scale)
    expected = model.expected_spend(purchases, spend)
    for is_in in (purchases == 1, purchases == 7, spend > 60, spend < 15):
        assert abs((next_spend - expected)[is_in].mean()) < 4 * next_spend[is_in].std() / np.sqrt(is_in.sum())


# ── Formulas against brute force ──────────────────────────────────────────────────────────────

ONE_OF_EACH = [(0, 0.0, 0.0), (0, 0.0, 39.0), (1, 0.0, 12.0), (2, 30.43, 38.86), (26, 30.86, 31.0), (7, 5.0, 60.0)]


@pytest.mark.parametrize("history", ONE_OF_EACH)
def test_bg_nbd_is_the_integral_over_its_customers(history: tuple[int, float, float]) -> None:
    x, t_x, age = history
    model, weeks = BG_NBD, 26.0

    def bought(until: float) -> float:
        """Return E[rate^x exp(-rate until)]."""
        rising = np.prod(model.r + np.arange(x))
        return float(rising * model.alpha**model.r * (model.alpha + until) ** -(model.r + x))

    def over(figure: Callable[[float], float]) -> float:
        # In p to a power: its density is singular at zero.
        def integrand(u: float) -> float:
            return figure(u**4) * beta_distribution.pdf(u**4, model.a, model.b) * 4 * u**3

        return quad(integrand, 0, 1, epsabs=0, epsrel=1e-10, limit=200)[0]

    life = over(lambda p: (1 - p) ** x * bought(age))
    both = life + (over(lambda p: p * (1 - p) ** (x - 1) * bought(t_x)) if x else 0.0)
    purchases = over(lambda p: (1 - p) ** x * (bought(age) - bought(age + p * weeks)) / p)
    some = over(lambda p: (1 - p) ** x * (bought(age) - bought(age + weeks)))
    one = exact(*(np.array([float(value)]) for value in history))
    values = (model.r, model.alpha, model.a, model.b)
    assert btyd.bg_nbd_log_likelihood(one, *values) == pytest.approx(np.log(both), abs=1e-8)
    assert model.probability_alive(one)[0] == pytest.approx(life / both, rel=1e-8)
    assert model.expected_purchases(one, weeks)[0] == pytest.approx(purchases / both, rel=1e-8)
    assert model.probability_of_purchase(one, weeks)[0] == pytest.approx(some / both, rel=1e-8)


@pytest.mark.parametrize(
    "shapes", [(2.5, 1.5, 1.2), (2.0, 2.0, 2.7), (0.5, 1.5, 5.4), (0.25, 0.9, 2.5), (3.0, 40.0, 80)]
)
@pytest.mark.parametrize("repeats", [0, 3, 50, 200, 2000])
@pytest.mark.parametrize("weeks", [0.5, 260.0])
def test_many_purchases_and_long_horizons_lose_no_digits(
    shapes: tuple[float, float, float], repeats: int, weeks: float
) -> None:
    r, a, b = shapes
    model = BgNbd(r, 0.4, a, b, GIVEN)
    one = exact(np.array([float(repeats)]), np.array([3.0 if repeats else 0.0]), np.array([3.0]))

    def purchases(u: float) -> float:
        # In p to a power: its density is singular at zero.
        p = u**4
        bought = -np.expm1(-(r + repeats) * np.log1p(p * weeks / 3.4)) / p
        return bought * beta_distribution.pdf(p, a, b + repeats) * 4 * u**3

    middle = (a / (a + b + repeats)) ** 0.25
    parts = [0, middle / 2, middle, (1 + middle) / 2, 1]
    expected = sum(quad(purchases, *ends, epsabs=0, epsrel=1e-9, limit=200)[0] for ends in pairwise(parts))
    alive = model.probability_alive(one)[0]
    assert model.expected_purchases(one, weeks)[0] == pytest.approx(alive * expected, rel=1e-6)


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("history", ONE_OF_EACH)
def test_pareto_nbd_is_the_integral_over_lifetimes(history: tuple[int, float, float], swapped: bool) -> None:  # noqa: FBT001
    x, t_x, age = history
    weeks = 26.0
    model = ParetoNbd(0.553, 10.578, 0.606, 11.669, GIVEN) if not swapped else ParetoNbd(0.553, 40.0, 0.606, 3.0, GIVEN)

    def bought(until: float, times: int) -> float:
        """Return E[rate^times exp(-rate until)] but for a factor common to all."""
        shape = model.r + times
        rising = np.prod(model.r + np.arange(times))
        return rising * model.alpha**model.r * (model.alpha + until) ** -shape

    def lives(until: float) -> float:
        return (model.beta / (model.beta + until)) ** model.s

    def dies(at: float) -> float:
        return model.s * model.beta**model.s * (model.beta + at) ** -(model.s + 1)

    precise = {"epsabs": 0, "epsrel": 1e-11}
    alive = bought(age, x) * lives(age)
    dead = quad(lambda at: bought(at, x) * dies(at), t_x, age, **precise)[0] if age > t_x else 0.0
    first = quad(lambda after: bought(age + after, x + 1) * lives(age + after), 0, weeks, **precise)[0]
    purchases = quad(lambda after: bought(age, x + 1) * lives(age + after), 0, weeks, **precise)[0]
    one = exact(*(np.array([float(value)]) for value in history))
    values = (model.r, model.alpha, model.s, model.beta)
    assert btyd.pareto_nbd_log_likelihood(one, *values) == pytest.approx(np.log(alive + dead), abs=1e-9)
    assert model.probability_alive(one)[0] == pytest.approx(alive / (alive + dead), rel=1e-9)
    assert model.probability_of_purchase(one, weeks)[0] == pytest.approx(first / (alive + dead), rel=1e-9)
    assert model.expected_purchases(one, weeks)[0] == pytest.approx(purchases / (alive + dead), rel=1e-9)


@pytest.mark.parametrize("shape", [0.01, 1.0, 2.0, 40.0, 3000.0])
@pytest.mark.parametrize("other", [0.05, 1.0, 2.5, 200.0])
@pytest.mark.parametrize("ratio", [1.0, 0.3, 0.05, 1e-4])
def test_tails_are_exact_for_all_shapes(shape: float, other: float, ratio: float) -> None:
    if shape + other < 1.9:
        shape += 1
    alpha, beta, start = 50.0, 50.0 * ratio, 0.5

    # Wide enough for the slowest tail among the cases.
    grid = np.linspace(-60, 600, 200_001)
    logs = grid - shape * np.log(alpha + start + np.exp(grid)) - other * np.log(beta + start + np.exp(grid))
    expected = logs.max() + np.log(np.exp(logs - logs.max()).sum() * (grid[1] - grid[0]))
    found = btyd.log_tail(np.array([shape]), np.array([other]), alpha, beta, np.array([start]))[0]
    turned = btyd.log_tail(np.array([other]), np.array([shape]), beta, alpha, np.array([start]))[0]
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-8)
    assert turned == pytest.approx(expected, rel=1e-12, abs=1e-8)


# ── Order, company, hostile histories ─────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def in_days() -> np.ndarray:
    """Return x, t_x, T of 3,000 customers, in days, as rows."""
    repeats, recency, age, _ = made_bg_nbd(np.random.default_rng(3), 3000)
    first_days = np.floor(recency * 7)
    return np.array([np.minimum(repeats, first_days), np.where(first_days > 0, first_days, 0), age * 7])


def test_order_of_customers_changes_no_digit(in_days: np.ndarray) -> None:
    shuffled = in_days[:, np.random.default_rng(1).permutation(in_days.shape[1])]
    for fit in (fit_nbd, fit_bg_nbd, fit_pareto_nbd):
        assert fit(Histories.from_days(*in_days, 7)) == fit(Histories.from_days(*shuffled, 7))
    spend = np.random.default_rng(2).gamma(2, 20, in_days.shape[1])
    assert fit_gamma_gamma(in_days[0] + 1, spend) == fit_gamma_gamma((in_days[0] + 1)[::-1], spend[::-1])


@pytest.mark.parametrize("model", MODELS)
def test_company_changes_no_digit(in_days: np.ndarray, model: BgNbd | ParetoNbd | Nbd) -> None:
    everybody = Histories.from_days(*in_days)
    for customer in (0, 17, 2999):
        alone = Histories.from_days(*in_days[:, [customer]])
        for weeks in (4, 260):
            for figure in (model.expected_purchases, model.probability_of_purchase):
                assert figure(everybody, weeks)[everybody.place[customer]] == figure(alone, weeks)[0]


@pytest.mark.parametrize("model", [*MODELS, BgNbd(2.0, 1e-3, 1.0, 0.5, GIVEN), ParetoNbd(0.5, 900.0, 1.0, 1e-3, GIVEN)])
def test_extreme_histories_have_finite_figures(model: BgNbd | ParetoNbd | Nbd) -> None:
    repeats = [0, 0, 1, 1, 5000, 5000, 300, 1]
    recency = [0, 0, 0, 1, 5000, 6000, 300, 7000]
    age = [0, 9000, 0, 9000, 5000, 9000, 300, 7000]
    histories = Histories.from_days(repeats, recency, age)
    longest = np.zeros(len(repeats))
    for weeks in (0.0, 1 / 7, 13, 52, 260, 5000):
        expected, some = model.expected_purchases(histories, weeks), model.probability_of_purchase(histories, weeks)
        assert np.isfinite(expected).all()
        assert ((some >= 0) & (some <= 1) & (some <= expected * (1 + 1e-9) + 1e-12)).all()
        assert (expected >= longest).all()
        longest = expected
    assert ((model.probability_alive(histories) >= 0) & (model.probability_alive(histories) <= 1)).all()


def test_drop_out_that_nobody_shows_is_not_assumed() -> None:
    chance = np.random.default_rng(4)
    age = chance.integers(100, 700, 2000)
    days = [chance.choice(span, min(chance.poisson(span * chance.gamma(1, 0.05)), span), replace=False) for span in age]
    repeats, recency = [len(bought) for bought in days], [max(bought, default=-1) + 1 for bought in days]
    histories = Histories.from_days(repeats, recency, age, 7)
    for fit in (fit_bg_nbd, fit_pareto_nbd):
        model = fit(histories)
        assert isinstance(model, Nbd)
        assert "drop-out is not identified" in model.fit.warning
        assert (model.r, model.alpha) == (fit_nbd(histories).r, fit_nbd(histories).alpha)


def test_drop_out_at_one_rate_for_all_is_believed() -> None:
    """The shape s runs to its bound; that is a reason to warn, and none to let nobody drop out."""
    chance = np.random.default_rng(6)
    rate, customers = chance.gamma(2, 1 / 20, 5000), 5000
    repeats, recency, age, later = _lived(chance, rate, np.zeros(customers), chance.exponential(30, customers))
    histories = exact(repeats, recency, age)
    model = fit_pareto_nbd(histories)
    assert isinstance(model, ParetoNbd)
    assert "at a bound: s" in model.fit.warning
    assert model.s / model.beta == pytest.approx(1 / 30, rel=0.1)
    assert model.fit.log_likelihood > fit_nbd(histories).fit.log_likelihood + 100
    assert model.expected_purchases(histories, 26).sum() == pytest.approx(later.sum(), rel=0.05)
    assert fit_nbd(histories).expected_purchases(histories, 26).sum() > 1.5 * later.sum()


@pytest.mark.parametrize(
    "histories",
    [
        ([3], [100], [200]),
        ([0] * 500, [0] * 500, list(range(500))),
        ([0, 1] * 200, [0, 1] * 200, [1, 1] * 200),
        ([0] * 100, [0] * 100, [0] * 100),
        ([10] * 300, [70] * 300, [77] * 300),
    ],
    ids=["one customer", "all one-time buyers", "two days", "no time at all", "all alike"],
)
def test_hostile_histories_are_fitted_with_a_warning(histories: tuple[list[int], ...]) -> None:
    fitted, scored = Histories.from_days(*histories, 7), Histories.from_days(*histories)
    for fit in (fit_bg_nbd, fit_pareto_nbd):
        model = fit(fitted)
        assert model.fit.warning
        assert np.isfinite(model.expected_purchases(scored, 260)).all()
        assert np.isfinite(model.probability_of_purchase(scored, 260)).all()


@pytest.mark.parametrize(
    ("history", "words"),
    [
        (([1], [5], [4]), "t_x > T"),
        (([0], [5], [9]), "x = 0"),
        (([-1], [0], [9]), "whole numbers"),
        (([float("nan")], [0], [9]), "whole numbers"),
        (([1, 2], [3], [9]), "one entry per customer"),
    ],
)
def test_impossible_histories_are_refused(history: tuple[list[float], ...], words: str) -> None:
    with pytest.raises(BtydError, match=words):
        Histories.from_days(*history)


def test_nobody_is_refused() -> None:
    with pytest.raises(BtydError, match="no customers"):
        fit_bg_nbd(Histories.from_days([], [], []))


def test_weekly_histories_are_counted() -> None:
    histories = Histories.from_days([2, 0, 2, 1], [8, 0, 6, 1], [30, 30, 26, 2], 7)
    assert histories.repeats.tolist() == [0, 1, 2]
    assert histories.recency_weeks.tolist() == [0, 1, 1]
    assert histories.age_weeks.tolist() == [4, 1, 4]
    assert histories.customers.tolist() == [1, 1, 2]
    assert histories.place.tolist() == [2, 0, 2, 1]


# ── Amounts ───────────────────────────────────────────────────────────────────────────────────


def test_expected_spend_is_between_the_customer_and_the_others() -> None:
    model = GammaGamma(6.25, 3.74, 15.44, GIVEN)
    assert model.population_mean == pytest.approx(6.25 * 15.44 / 2.74)
    assert model.expected_spend(0, 99.0) == pytest.approx(model.population_mean)
    # By hand: (2.74 x 35.2189... + 6.25 x 2 x 10) / (2.74 + 12.5)
    assert model.expected_spend(2, 10.0) == pytest.approx((2.74 * model.population_mean + 125) / 15.24)
    assert model.expected_spend(10**9, 10.0) == pytest.approx(10.0)


def test_refunded_customers_are_left_out_and_expected_to_spend_less_than_anybody() -> None:
    chance = np.random.default_rng(6)
    purchases, spend = chance.integers(1, 6, 800), chance.gamma(2, 20, 800)
    model = fit_gamma_gamma(purchases, spend)
    assert model == fit_gamma_gamma([*purchases, 2, 3, 0], [*spend, -50.0, 0.0, 9.0])
    refunded = model.expected_spend([2, 2, 9], [-50.0, 0.0, -50.0])
    assert refunded[0] == refunded[1] == pytest.approx(model.expected_spend(2, 1e-12))
    assert 0 < refunded[2] < refunded[0] < model.population_mean


def test_equal_amounts_are_expected_again() -> None:
    model = fit_gamma_gamma([1, 2, 9], [5.0, 5.0, 5.0])
    assert model.expected_spend([0, 1, 50], [0.0, 5.0, 5.0]) == pytest.approx([5.0, 5.0, 5.0])
    assert model.fit.warning == "amounts do not differ"


def test_no_amounts_are_worth_nothing() -> None:
    model = fit_gamma_gamma([1, 2], [-5.0, 0.0])
    assert model.expected_spend([1, 2], [-5.0, 0.0]).tolist() == [0, 0]
    assert model.fit.warning == "no customer with a positive mean spend"


def test_one_enormous_order_makes_no_infinite_mean() -> None:
    chance = np.random.default_rng(8)
    purchases, spend = chance.integers(1, 5, 500), chance.gamma(2, 20, 500)
    spend[0] = 168_469.0
    model = fit_gamma_gamma(purchases, spend)
    assert spend.mean() / 2 < model.population_mean < spend.mean() * 2
    assert 15 < model.expected_spend(4, 20.0) < 40


def test_many_different_amounts_are_rounded_without_harm() -> None:
    chance = np.random.default_rng(9)
    count = 150_000
    purchases = chance.integers(1, 8, count)
    scale = chance.gamma(3.7, 1 / 15.0, count)
    model = fit_gamma_gamma(purchases, chance.gamma(6.0 * purchases) / scale / purchases)
    for name, value in {"p": 6.0, "q": 3.7, "gamma": 15.0}.items():
        assert abs(getattr(model, name) - value) < 3 * model.fit.standard_errors[name]


def test_models_come_back_from_plain_values() -> None:
    spends = fit_gamma_gamma([1, 2, 3, 4], [3.0, 4.0, 20.0, 9.0])
    for model in (*MODELS, spends):
        assert btyd.from_dict(json.loads(json.dumps(btyd.to_dict(model)))) == model
