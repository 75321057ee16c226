"""Buy-till-you-die models: how many purchases, whether any, and of what worth, from (x, t_x, T) by maximum likelihood.

Three published models, written from their formulas:

- BG/NBD: Fader, Hardie & Lee (2005), "Counting Your Customers" the Easy Way, Marketing Science 24(2), 275-284.
- Pareto/NBD: Schmittlein, Morrison & Colombo (1987), Counting Your Customers, Management Science 33(1), 1-24; in the
  notation of Fader & Hardie (2005), A Note on Deriving the Pareto/NBD Model and Related Expressions (note 009), and
  Fader & Hardie (2014), Deriving the Conditional PMF of the Pareto/NBD Model (note 028).
- Gamma-Gamma: Fader & Hardie (2013), The Gamma-Gamma Model of Monetary Value (note 025).

The unit of time is the week. x counts the days with a purchase after the first; t_x is the time from the first to the
last of them, T the time from the first to the day of looking. Customers with equal (x, t_x, T) are counted, not
repeated, and rows are sorted: equal input, in any order, gives the same parameters to the last bit, and a customer's
figures do not depend on who is scored beside him.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import betaincinv, betaln, exprel, gammaln, hyp2f1

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike

    Array = np.ndarray[Any, np.dtype[np.float64]]
    LogLikelihood = Callable[[Array], float]

DAYS_IN_WEEK = 7
FITTED_DAYS = 7
"""Days to which t_x and T are rounded for fitting: a million customers share some ten thousand weekly histories."""
SMALLEST, LARGEST = 1e-4, 1e3
"""Bounds of the shapes r, a, b, s (and of p, q times ten): beyond them a mixing distribution is all or nothing."""
SHORTEST, LONGEST = 1e-4, 1e6
"""Bounds of the rates alpha, beta, in weeks."""
LEAST_GAIN = 2.0
"""Log-likelihood that two parameters of drop-out must gain over the NBD, which has none (Akaike's criterion)."""
EQUAL_LOG_LIKELIHOOD = 0.01
EQUAL_LOG_PARAMETER = 0.01
"""How far two starts' optima may lie apart: log-likelihood in all, logarithm of each parameter."""
MOST_DISTINCT_SPENDS = 100_000
SPEND_CELL = 0.005
"""Beyond so many different (purchases, mean spend) the mean is rounded to cells of half a percent for fitting."""
MEAN_TOLERANCE = 2.0
"""Factor between the Gamma-Gamma population mean and the observed one beyond which its tail is not believed."""
AT_BOUND = 1e-6
"""Of the logarithm of a parameter."""
NEAR_ONE = 1e-6
NEAR_ZERO = 1e-8
"""Within these of a removable singularity the parameter is moved aside: the result moves by as little."""
HESSIAN_STEP = 1e-3
"""Of the logarithm of a parameter, for second differences."""
NEWTON_STEPS = 3
DEATHS_WITHIN_WEEKS = (1.0, 4.0, 16.0, 64.0, 256.0, 1024.0)
SCIPY_HOLDS_TO = 0.9
SERIES_EXCESS = 5.0
MOST_TERMS = 10_000
NO_MORE = 1e-18
"""Of a sum, what the last term may be."""
FRACTION_STEPS = {0.5: 24, 0.9: 60, 0.99: 200}
"""Steps of Gauss's continued fraction for z up to each bound: 15 digits, measured against mpmath."""
QUADRATURE_STEPS = 160
QUADRATURE_ROWS = 512
"""Rows at once: their points stay in the processor's cache."""
NODES, NODE_WEIGHTS = (part / 2 for part in np.polynomial.legendre.leggauss(64))


class BtydError(ValueError):
    """Purchase histories that cannot be: negative times, a last purchase after the day of looking, not finite."""


# ── Histories ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, eq=False)
class Histories:
    """The different purchase histories among customers, sorted, and which of them each customer has.

    Arrays of one entry per different history: `repeats` (x), `recency_weeks` (t_x), `age_weeks` (T), `customers` (how
    many have it). `place` has one entry per customer: `values[place]` takes figures per history to customers.
    """

    repeats: Array
    recency_weeks: Array
    age_weeks: Array
    customers: Array
    place: np.ndarray[Any, np.dtype[np.intp]]

    @classmethod
    def from_days(
        cls, repeat_days: ArrayLike, recency_age_days: ArrayLike, age_days: ArrayLike, rounded_to_days: int = 1
    ) -> Histories:
        """Return the histories of customers, one entry each: x, t_x and T in whole days.

        `rounded_to_days` = FITTED_DAYS rounds t_x and T to whole weeks, as models are fitted: half to even, and what
        is not zero to one at least.

        Raises BtydError where a number is missing, negative or not whole, where t_x > T, or x = 0 and t_x > 0.
        """
        x, t_x, age = (_whole(values) for values in (repeat_days, recency_age_days, age_days))
        if not len(x) == len(t_x) == len(age):
            raise BtydError("x, t_x and T must have one entry per customer each")
        if (t_x > age).any():
            raise BtydError("a last purchase lies after the day of looking (t_x > T)")
        if ((x == 0) & (t_x > 0)).any():
            raise BtydError("a customer without a repeat purchase has one later than the first (x = 0, t_x > 0)")
        # Not to zero: a purchase in no time has no rate.
        t_x, age = (np.maximum(np.rint(days / rounded_to_days), days > 0).astype(np.int64) for days in (t_x, age))
        span = int(age.max(initial=0)) + 1
        keys, place, customers = np.unique((x * span + t_x) * span + age, return_inverse=True, return_counts=True)
        weeks = rounded_to_days / DAYS_IN_WEEK
        return cls(
            (keys // span**2).astype(float),
            (keys // span % span) * weeks,
            (keys % span) * weeks,
            customers.astype(float),
            place.reshape(-1),
        )

    @cached_property
    def customers_by_repeats(self) -> tuple[Array, Array]:
        """Return the different x and how many customers have each."""
        values, place = np.unique(self.repeats, return_inverse=True)
        return values, np.bincount(place, weights=self.customers)

    @cached_property
    def pairs(self) -> tuple[Array, Array, np.ndarray, np.ndarray]:
        """Return the different (x, t) with t = t_x or T, and where each history's t_x and T are found among them.

        They are far fewer than the histories: the dear functions are evaluated on them.
        """
        both = np.concatenate([self.repeats + 1j * self.recency_weeks, self.repeats + 1j * self.age_weeks])
        pairs, place = np.unique(both, return_inverse=True)
        return pairs.real.copy(), pairs.imag.copy(), place[: len(self.repeats)], place[len(self.repeats) :]


def _whole(values: ArrayLike) -> np.ndarray:
    numbers = np.asarray(values, dtype=float).reshape(-1)
    if not (np.isfinite(numbers) & (numbers >= 0) & (numbers == np.floor(numbers))).all():
        raise BtydError("x, t_x and T must be whole numbers of zero or more")
    return numbers.astype(np.int64)


# ── Maximum likelihood ────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Fit:
    """How a model was fitted.

    `log_likelihood` is the sum over `customers`; `standard_errors` come from the curvature in the logarithms of the
    parameters (delta method), None where there is none, as at a bound. `is_converged`: two starts ended at the same
    optimum, off the bounds. `warning` says what to know before using the model, None when nothing.
    """

    log_likelihood: float
    customers: int
    standard_errors: dict[str, float | None] = field(default_factory=dict)
    is_converged: bool = True
    warning: str | None = None


@dataclass(frozen=True)
class _Optimum:
    values: dict[str, float]
    fit: Fit


def _maximise(
    log_likelihood: LogLikelihood,
    bounds: dict[str, tuple[float, float]],
    starts: Sequence[Sequence[float]],
    customers: float,
) -> _Optimum:
    """Return the parameters of the greatest log-likelihood, found from every start, with how sure they are.

    `log_likelihood` takes the parameters themselves, in the order of `bounds`; they are searched by their logarithms.
    """
    limits = np.log(np.array(list(bounds.values())))

    def loss(logs: Array) -> float:
        return -log_likelihood(np.exp(logs)) / customers

    ends = []
    for start in starts:
        first = np.clip(np.log(start), limits[:, 0], limits[:, 1])
        options = {"maxiter": 500, "ftol": 1e-12, "gtol": 1e-6}
        ends.append(minimize(loss, first, method="L-BFGS-B", jac="2-point", bounds=limits, options=options).x)
    best, hessian = _polished(loss, min(ends, key=loss), limits)
    # Where both ends are one already, polishing the other would tell nothing.
    ends = [end if np.abs(end - best).max() <= EQUAL_LOG_PARAMETER else _polished(loss, end, limits)[0] for end in ends]
    spread = max(customers * (loss(end) - loss(best)) for end in ends)
    distance = max(float(np.abs(end - best).max()) for end in ends)
    at_bound = [
        name for name, value, limit in zip(bounds, best, limits, strict=True) if np.abs(limit - value).min() < AT_BOUND
    ]
    warnings = []
    if spread > EQUAL_LOG_LIKELIHOOD or distance > EQUAL_LOG_PARAMETER:
        warnings.append(
            f"two starts ended at different optima: {spread:.3f} of log-likelihood and a factor of"
            f" {np.exp(min(distance, 50)):.3g} in a parameter apart"
        )
    if at_bound:
        warnings.append(f"at a bound: {', '.join(at_bound)}")
    errors = _standard_errors(best, hessian * customers)
    values = np.exp(best)
    return _Optimum(
        dict(zip(bounds, map(float, values), strict=True)),
        Fit(
            float(log_likelihood(values)),
            round(customers),
            dict(zip(bounds, errors, strict=True)),
            not warnings,
            "; ".join(warnings) or None,
        ),
    )


def _polished(loss: LogLikelihood, logs: Array, limits: Array) -> tuple[Array, Array]:
    """Return the optimum after a few steps of Newton's method, and its Hessian: quasi-Newton stops a little early."""
    gradient, hessian = _derivatives(loss, logs)
    for _ in range(NEWTON_STEPS):
        try:
            step = np.linalg.solve(hessian, gradient)
        except np.linalg.LinAlgError:
            break
        better = np.clip(logs - step, limits[:, 0], limits[:, 1])
        if not np.isfinite(better).all() or np.abs(step).max() > 1 or not loss(better) < loss(logs):
            break
        logs = better
        gradient, hessian = _derivatives(loss, logs)
    return logs, hessian


def _derivatives(loss: LogLikelihood, logs: Array) -> tuple[Array, Array]:
    """Return gradient and Hessian of the loss by central differences."""
    count = len(logs)
    steps = np.eye(count) * HESSIAN_STEP
    middle = loss(logs)
    up, down = (np.array([loss(logs + sign * step) for step in steps]) for sign in (1, -1))
    hessian = np.diag((up - 2 * middle + down) / HESSIAN_STEP**2)
    for i in range(count):
        for j in range(i):
            corners = [loss(logs + one * steps[i] + two * steps[j]) for one in (1, -1) for two in (1, -1)]
            cross = (corners[0] - corners[1] - corners[2] + corners[3]) / (4 * HESSIAN_STEP**2)
            hessian[i, j] = hessian[j, i] = cross
    return (up - down) / (2 * HESSIAN_STEP), hessian


def _standard_errors(logs: Array, information: Array) -> list[float | None]:
    """Return sd(parameter) = parameter x sd(log parameter) from the observed information; None where it is singular."""
    try:
        variances = np.diag(np.linalg.inv(information))
    except np.linalg.LinAlgError:
        return [None] * len(logs)
    errors = np.exp(logs) * np.sqrt(np.where(variances > 0, variances, np.nan))
    return [float(error) if np.isfinite(error) else None for error in errors]


# ── Purchases ─────────────────────────────────────────────────────────────────────────────────


class PurchaseModel:
    """What the models of purchases have in common; all figures have one entry per different history."""

    fit: Fit

    def probability_alive(self, histories: Histories) -> Array:
        """Return the probability of not having dropped out by T: a diagnostic, no forecast."""
        raise NotImplementedError

    def purchases_if_alive(self, histories: Histories, weeks: float) -> Array:
        """Return the expected days with a purchase in (T, T + weeks] of who has not dropped out by T."""
        raise NotImplementedError

    def any_purchase_if_alive(self, histories: Histories, weeks: float) -> Array:
        """Return the probability of at least one purchase in (T, T + weeks] of who has not dropped out by T."""
        raise NotImplementedError

    def expected_purchases(self, histories: Histories, weeks: float) -> Array:
        """Return the expected days with a purchase in (T, T + weeks]."""
        return self.probability_alive(histories) * self.purchases_if_alive(histories, weeks)

    def probability_of_purchase(self, histories: Histories, weeks: float) -> Array:
        """Return the probability of at least one purchase in (T, T + weeks]."""
        return self.probability_alive(histories) * self.any_purchase_if_alive(histories, weeks)


@dataclass(frozen=True)
class Nbd(PurchaseModel):
    """Purchases without drop-out: Poisson with a rate ~ Gamma(r, alpha per week)."""

    r: float
    alpha: float
    fit: Fit

    def purchases_if_alive(self, histories: Histories, weeks: float) -> Array:
        """Return the mean of the rate's posterior x weeks."""
        return (self.r + histories.repeats) / (self.alpha + histories.age_weeks) * weeks

    def any_purchase_if_alive(self, histories: Histories, weeks: float) -> Array:
        """Return 1 - (rate/(rate + weeks))^shape of the rate's posterior."""
        return _poisson_gamma_any(self.r + histories.repeats, self.alpha + histories.age_weeks, weeks)

    def probability_alive(self, histories: Histories) -> Array:
        """Return 1: nobody drops out."""
        return np.ones_like(histories.repeats)


@dataclass(frozen=True)
class BgNbd(PurchaseModel):
    """BG/NBD: after each purchase a customer drops out with a probability ~ Beta(a, b); rate ~ Gamma(r, alpha)."""

    r: float
    alpha: float
    a: float
    b: float
    fit: Fit

    def probability_alive(self, histories: Histories) -> Array:
        """Return 1 / (1 + [x > 0] a/(b+x-1) ((alpha+T)/(alpha+t_x))^(r+x)), the denominator of equation (10)."""
        x = histories.repeats
        age, recency = self.alpha + histories.age_weeks, self.alpha + histories.recency_weeks
        with np.errstate(divide="ignore", invalid="ignore"):
            odds = np.log(self.a) - np.log(self.b + x - 1) + (self.r + x) * np.log(age / recency)
        return np.where(x > 0, np.exp(-np.logaddexp(0, np.where(x > 0, odds, 0))), 1.0)

    def purchases_if_alive(self, histories: Histories, weeks: float) -> Array:
        """Return the expected days with a purchase in (T, T + weeks] given life at T: equation (10) over P(alive).

        The hypergeometric function is taken through Euler's transformation (Abramowitz & Stegun 15.3.3), whose
        parameters do not grow with x.
        """
        x, age, _, at_age = histories.pairs
        r, alpha, b = self.r + x, self.alpha + age, self.b
        a = 1 + NEAR_ONE if abs(self.a - 1) < NEAR_ONE else self.a
        total = a + b + x - 1
        total = np.where(np.abs(total) < NEAR_ZERO, NEAR_ZERO, total)
        passed = weeks / (alpha + weeks)
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            series = _euler_series(a - 1, a + b - 1 - self.r, total, passed)
            expected = total / (a - 1) * (1 - np.exp((a - 1) * np.log1p(-passed)) * series)
        # What passes the range of a float, or loses it to cancellation: no more than without any drop-out.
        is_wrong = ~(np.isfinite(expected) & (expected >= 0) & (expected <= r * weeks / alpha * (1 + 1e-9)))
        if is_wrong.any():
            expected[is_wrong] = self._expected_by_quadrature(r[is_wrong], alpha[is_wrong], x[is_wrong], weeks)
        return expected[at_age]

    def _expected_by_quadrature(self, r: Array, alpha: Array, x: Array, weeks: float) -> Array:
        """Return E[(1 - (1 + p weeks/alpha)^-r) / p] over p ~ Beta(a, b + x), the integral behind equation (9)."""
        drop_out = np.maximum(betaincinv(self.a, self.b + x[:, None], NODES + 0.5), 1e-300)
        means = -np.expm1(-r[:, None] * np.log1p(drop_out * (weeks / alpha)[:, None])) / drop_out
        return (means * NODE_WEIGHTS).sum(axis=1)

    def any_purchase_if_alive(self, histories: Histories, weeks: float) -> Array:
        """Return 1 - ((alpha+T)/(alpha+T+weeks))^(r+x).

        Who is alive at T stays so until the next purchase: its waiting time is exponential in the rate, whose
        posterior given life is Gamma(r + x, alpha + T).
        """
        return _poisson_gamma_any(self.r + histories.repeats, self.alpha + histories.age_weeks, weeks)


@dataclass(frozen=True)
class ParetoNbd(PurchaseModel):
    """Pareto/NBD: lifetimes exponential with a rate ~ Gamma(s, beta); purchases Poisson with one ~ Gamma(r, alpha)."""

    r: float
    alpha: float
    s: float
    beta: float
    fit: Fit

    def probability_alive(self, histories: Histories) -> Array:
        """Return P(alive at T), note 009 section 5, note 028 equation (9)."""
        alive, dead = _pareto_states(histories, self.r, self.alpha, self.s, self.beta)
        return np.exp(-np.logaddexp(0, dead - alive))

    def purchases_if_alive(self, histories: Histories, weeks: float) -> Array:
        """Return the expected days with a purchase in (T, T + weeks] given life at T, note 009 section 6.

        (r+x)(beta+T) / ((alpha+T)(s-1)) [1 - ((beta+T)/(beta+T+weeks))^(s-1)]; written with
        exprel(z) = (e^z - 1)/z it holds at s = 1, too.
        """
        rate = (self.r + histories.repeats) / (self.alpha + histories.age_weeks)
        life = self.beta + histories.age_weeks
        logs = np.log1p(weeks / life)
        return rate * life * logs * exprel(-(self.s - 1) * logs)

    def any_purchase_if_alive(self, histories: Histories, weeks: float) -> Array:
        """Return the probability of at least one purchase in (T, T + weeks].

        Given life, the rates' posteriors are Gamma(r + x, alpha + T) and Gamma(s, beta + T), independent. The
        first purchase comes at T + y, before the end of life, with density
        (r+x) (alpha+T)^(r+x) (alpha+T+y)^-(r+x+1) ((beta+T)/(beta+T+y))^s, integrated over y in closed form.
        """
        x, age, _, at_age = histories.pairs
        shape = self.r + x
        scale = np.log(shape) + shape * np.log(self.alpha + age) + self.s * np.log(self.beta + age)
        ever, later = (
            np.exp(scale + log_tail(shape + 1, self.s, self.alpha, self.beta, start)) for start in (age, age + weeks)
        )
        return np.clip(ever - later, 0, 1)[at_age]


def _euler_series(one: float, two: float, total: Array, passed: Array) -> Array:
    """Return 2F1(one, two; total; passed), 0 <= passed < 1.

    scipy's function, but for many purchases and a horizon of ten times alpha + T or more: where total - one - two is
    whole it is wrong there by up to three percent, without a word. The plain series converges fast there.
    """
    values = hyp2f1(one, two, total, passed)
    is_summed = (passed > SCIPY_HOLDS_TO) & (total - one - two > SERIES_EXCESS) & (total > abs(two))
    if is_summed.any():
        c, z = total[is_summed], passed[is_summed]
        term, added = np.ones_like(z), np.ones_like(z)
        for count in range(MOST_TERMS):
            term = term * ((one + count) * (two + count) / ((c + count) * (1 + count))) * z
            # Past what a row needs, nothing changes: a customer's sum does not hang on the others'.
            added = added + term
            if (np.abs(term) <= NO_MORE * np.abs(added)).all():
                break
        is_summed[is_summed] = is_converged = np.abs(term) <= NO_MORE * np.abs(added)
        values[is_summed] = added[is_converged]
    return values


def _poisson_gamma_any(shape: Array, rate: Array, weeks: float) -> Array:
    """Return the probability of at least one event in `weeks` where the rate of events ~ Gamma(shape, rate)."""
    return -np.expm1(-shape * np.log1p(weeks / rate))


def log_tail(p: ArrayLike, q: ArrayLike, alpha: float, beta: float, start: Array) -> Array:
    """Return log of the integral of (alpha + y)^-p (beta + y)^-q over y from `start` to infinity, p + q > 1.

    The integral behind A_1 and A_2 of note 028, equation (3), by Euler's transformation: the hypergeometric function
    stays moderate however large x is, and the powers are kept as logarithms.
    """
    if alpha < beta:
        p, q, alpha, beta = q, p, beta, alpha
    p, q, start = np.broadcast_arrays(np.asarray(p, dtype=float), q, start)
    z = (alpha - beta) / (alpha + start)
    tail = np.empty_like(z)
    low = -1.0
    for high, steps in FRACTION_STEPS.items():
        is_here = (z > low) & (z <= high)
        if is_here.any():
            tail[is_here] = np.log(_hypergeometric(p[is_here], q[is_here], z[is_here], steps))
        low = high
    tail -= p * np.log(alpha + start) + (q - 1) * np.log(beta + start) + np.log(p + q - 1)
    is_far = z > low
    if is_far.any():
        far = (p[is_far], q[is_far], alpha + start[is_far], beta + start[is_far])
        pieces = (slice(first, first + QUADRATURE_ROWS) for first in range(0, len(far[0]), QUADRATURE_ROWS))
        tail[is_far] = np.concatenate([_log_tail_by_quadrature(*(part[piece] for part in far)) for piece in pieces])
    return tail


def _hypergeometric(p: Array, q: Array, z: Array, steps: int) -> Array:
    """Return 2F1(1, p; p + q; z) by Gauss's continued fraction (DLMF 15.7.1 with b = 0), 0 <= z < 1.

    scipy's function loses all digits where q is whole, has no answer for some 170 purchases and z near 1, and takes
    seconds for thousands of purchases.
    """
    first = p + q - 1
    value = first + steps
    for step in range(steps, 0, -1):
        half = step // 2
        factor = (p + half) * (first + half) if step % 2 else half * (q - 1 + half)
        value = first + (step - 1) - factor * z / value
    return first / value


def _log_tail_by_quadrature(p: Array, q: Array, alpha: Array, beta: Array) -> Array:
    """Return log of the integral of (alpha + y)^-p (beta + y)^-q over y > 0, by the trapezoidal rule in log y.

    For beta far below alpha, where the fraction is slow. The rule converges exponentially.
    """
    excess = p + q - 1
    low = np.log(np.minimum(alpha / p, beta / q)) - 32
    high = np.log(alpha * np.expm1(np.minimum(32 / excess, 36)))
    step = (high - low) / QUADRATURE_STEPS
    logs = low[:, None] + step[:, None] * np.arange(QUADRATURE_STEPS + 1)
    y = np.exp(logs)
    parts = logs - p[:, None] * np.log(alpha[:, None] + y) - q[:, None] * np.log(beta[:, None] + y)
    # Where the integrand falls slowly: what lies beyond, with half the last part and its Euler-Maclaurin correction.
    parts += np.log(step)[:, None]
    parts[:, -1] += np.log(0.5 + excess * step / 12)
    beyond = -excess * np.log(alpha + np.exp(high)) - np.log(excess)
    # scipy's logsumexp, which guards against what cannot be here, takes as long as all the rest.
    most = parts.max(axis=1)
    return np.logaddexp(most + np.log(np.exp(parts - most[:, None]).sum(axis=1)), beyond)


def _pareto_states(histories: Histories, r: float, alpha: float, s: float, beta: float) -> tuple[Array, Array]:
    """Return the logarithms of the two parts of the likelihood over its common factor: alive at T, dead before."""
    x, weeks, at_recency, at_age = histories.pairs
    tails = log_tail(r + x, s + 1, alpha, beta, weeks)
    since, after = tails[at_recency], tails[at_age]
    alive = -(r + histories.repeats) * np.log(alpha + histories.age_weeks) - s * np.log(beta + histories.age_weeks)
    with np.errstate(divide="ignore"):
        dead = np.log(s) + since + np.log(-np.expm1(np.minimum(after - since, 0)))
    return alive, dead


def nbd_log_likelihood(histories: Histories, r: float, alpha: float) -> float:
    """Return the log-likelihood of Nbd: that of the two others without drop-out."""
    alive = -(r + histories.repeats) * np.log(alpha + histories.age_weeks)
    return float((histories.customers * alive).sum() + _gamma_part(histories, r, alpha))


def bg_nbd_log_likelihood(histories: Histories, r: float, alpha: float, a: float, b: float) -> float:
    """Return the log-likelihood, equations (6) and (7), in the safe form of Fader & Hardie (2013), note 027."""
    x = histories.repeats
    alive = -(r + x) * np.log(alpha + histories.age_weeks)
    with np.errstate(divide="ignore", invalid="ignore"):
        dead = np.log(a) - np.log(b + x - 1) - (r + x) * np.log(alpha + histories.recency_weeks)
    both = np.where(x > 0, np.logaddexp(alive, np.where(x > 0, dead, 0)), alive)
    values, customers = histories.customers_by_repeats
    drop_out = (customers * (betaln(a, b + values) - betaln(a, b))).sum()
    return float((histories.customers * both).sum() + drop_out + _gamma_part(histories, r, alpha))


def pareto_nbd_log_likelihood(histories: Histories, r: float, alpha: float, s: float, beta: float) -> float:
    """Return the log-likelihood, note 009 section 3, note 028 equation (3)."""
    alive, dead = _pareto_states(histories, r, alpha, s, beta)
    both = np.logaddexp(alive, dead) + s * np.log(beta)
    return float((histories.customers * both).sum() + _gamma_part(histories, r, alpha))


def _gamma_part(histories: Histories, r: float, alpha: float) -> float:
    """Return the sum of log(Gamma(r + x) alpha^r / Gamma(r)) over customers, common to the three."""
    values, customers = histories.customers_by_repeats
    return float((customers * (gammaln(r + values) - gammaln(r) + r * np.log(alpha))).sum())


def fit_nbd(histories: Histories) -> Nbd:
    """Return the NBD of the greatest likelihood."""
    rate, _ = _typical(histories)
    found = _maximise(
        lambda values: nbd_log_likelihood(histories, *values),
        {"r": (SMALLEST, LARGEST), "alpha": (SHORTEST, LONGEST)},
        [(0.5, 0.5 / rate), (2.0, 2.0 / rate)],
        histories.customers.sum(),
    )
    return Nbd(**found.values, fit=found.fit)


def fit_bg_nbd(histories: Histories) -> BgNbd | Nbd:
    """Return the BG/NBD of the greatest likelihood; the NBD, with a warning, where drop-out is not identified."""
    rate, _ = _typical(histories)
    shape, weeks = (SMALLEST, LARGEST), (SHORTEST, LONGEST)
    found = _maximise(
        lambda values: bg_nbd_log_likelihood(histories, *values),
        {"r": shape, "alpha": weeks, "a": shape, "b": shape},
        [(0.5, 0.5 / rate, 0.5, 2.0), (1.5, 0.7 / rate, 1.0, 1.5)],
        histories.customers.sum(),
    )
    return _or_without_drop_out(found, fit_nbd(histories), "BG/NBD") or BgNbd(**found.values, fit=found.fit)


def fit_pareto_nbd(histories: Histories) -> ParetoNbd | Nbd:
    """Return the Pareto/NBD of the greatest likelihood; the NBD, with a warning, where drop-out is not identified."""
    rate, age = _typical(histories)
    nbd = fit_nbd(histories)
    if not _drop_out_helps(histories, nbd):
        return _warned(nbd, "Pareto/NBD: drop-out is not identified (none raises the likelihood)")
    shape, weeks = (SMALLEST, LARGEST), (SHORTEST, LONGEST)
    found = _maximise(
        lambda values: pareto_nbd_log_likelihood(histories, *values),
        {"r": shape, "alpha": weeks, "s": shape, "beta": weeks},
        [(0.5, 0.5 / rate, 0.5, 0.5 * age), (1.5, 0.7 / rate, 1.5, age)],
        histories.customers.sum(),
    )
    return _or_without_drop_out(found, nbd, "Pareto/NBD") or ParetoNbd(**found.values, fit=found.fit)


def _typical(histories: Histories) -> tuple[float, float]:
    """Return purchases per week and age in weeks to start from; raise BtydError where there are no customers."""
    customers = histories.customers.sum()
    if not customers:
        raise BtydError("no customers to fit a model to")
    age = max(float((histories.customers * histories.age_weeks).sum() / customers), 1 / DAYS_IN_WEEK)
    repeats = max(float((histories.customers * histories.repeats).sum() / customers), 1e-3)
    return repeats / age, age


def _or_without_drop_out(found: _Optimum, nbd: Nbd, model: str) -> Nbd | None:
    """Return the NBD where `found`, which has two parameters of drop-out more, is no better.

    A parameter at a bound is no reason: customers who all drop out at much the same rate drop out.
    """
    gain = found.fit.log_likelihood - nbd.fit.log_likelihood
    if gain >= LEAST_GAIN:
        return None
    return _warned(nbd, f"{model}: drop-out is not identified (it gains {max(gain, 0):.2f} of log-likelihood)")


def _warned(nbd: Nbd, warning: str) -> Nbd:
    warnings = [f"{warning}: NBD instead", *([nbd.fit.warning] if nbd.fit.warning else [])]
    return replace(nbd, fit=replace(nbd.fit, warning="; ".join(warnings)))


def _drop_out_helps(histories: Histories, nbd: Nbd) -> bool:
    """Return whether a little drop-out, early or late, raises the likelihood of the NBD (a score test at s = 0).

    The derivative of the Pareto/NBD's log-likelihood by s, at s = 0, for deaths within about beta weeks. Where none is
    positive the optimum is the NBD itself, and the search for it would go on for long along a flat ridge.
    """
    x, weeks, at_recency, at_age = histories.pairs
    shape, rate = nbd.r + x, nbd.alpha
    alive = -(nbd.r + histories.repeats) * np.log(rate + histories.age_weeks)
    for beta in DEATHS_WITHIN_WEEKS:
        tails = log_tail(shape, 1.0, rate, beta, weeks)
        with np.errstate(divide="ignore"):
            fallen = np.log(-np.expm1(np.minimum(tails[at_age] - tails[at_recency], 0)))
        died = np.exp(np.minimum(tails[at_recency] + fallen - alive, 500))
        if (histories.customers * (died - np.log1p(histories.age_weeks / beta))).sum() > 0:
            return True
    return False


# ── Worth of a purchase ───────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class GammaGamma:
    """Gamma-Gamma: a customer's spends ~ Gamma(p, nu), nu ~ Gamma(q, gamma); money in the unit of the data."""

    p: float
    q: float
    gamma: float
    fit: Fit

    def expected_spend(self, purchases: ArrayLike, mean_spend: ArrayLike) -> Array:
        """Return the expected worth of a customer's next purchase, equation (5): p (gamma + x z)/(p x + q - 1).

        `purchases` (x) is the number of purchases behind `mean_spend` (z); 0 gives the population's mean. A mean of
        zero or less (refunds, gifts) counts as zero, the limit of the formula: the more purchases say so, the less is
        expected of the next. The population's mean would reward the refund.
        """
        x = np.asarray(purchases, dtype=float)
        z = np.maximum(np.asarray(mean_spend, dtype=float), 0)
        z = np.where(x > 0, z, 0)
        return self.p * (self.gamma + x * z) / (self.p * x + self.q - 1)

    @property
    def population_mean(self) -> float:
        """Return the mean worth of a purchase over customers, p gamma/(q-1)."""
        return self.p * self.gamma / (self.q - 1)


@dataclass(frozen=True, eq=False)
class Spends:
    """The different (purchases, mean spend) among customers, sorted, and how many customers have each."""

    purchases: Array
    mean_spend: Array
    customers: Array


def gamma_gamma_log_likelihood(spends: Spends, p: float, q: float, gamma: float) -> float:
    """Return the log-likelihood of mean spends, equation (1)."""
    px, sums = p * spends.purchases, spends.purchases * spends.mean_spend
    each = q * np.log(gamma) + px * np.log(sums) - (px + q) * np.log(gamma + sums)
    each = each - np.log(spends.mean_spend) - betaln(px, q)
    return float((spends.customers * each).sum())


def fit_gamma_gamma(purchases: ArrayLike, mean_spend: ArrayLike) -> GammaGamma:
    """Return the Gamma-Gamma of the greatest likelihood.

    Args:
        purchases: days with a purchase behind each mean, one entry per customer.
        mean_spend: mean worth of those days.

    Means of zero or less are left out: the model has no place for them. So are customers without a purchase.
    Where amounts do not differ, everybody is expected to spend that amount. Where the tail is so heavy that the model's
    population mean is not finite, or misses the observed one by more than a factor of two, it is tied to that.

    """
    x, z = np.asarray(purchases, dtype=float).reshape(-1), np.asarray(mean_spend, dtype=float).reshape(-1)
    is_used = (x > 0) & (z > 0) & np.isfinite(x) & np.isfinite(z)
    x, z, counts = _distinct_spends(x[is_used], z[is_used])
    customers = int(counts.sum())
    observed = float((counts * z).sum() / customers) if customers else 0.0
    if customers == 0 or z.min() == z.max():
        large = 10 * LARGEST
        warning = "amounts do not differ" if customers else "no customer with a positive mean spend"
        return GammaGamma(
            large, large, observed * (large - 1) / large, Fit(0.0, customers, {}, is_converged=False, warning=warning)
        )
    scaled = Spends(x, z / observed, counts)
    bounds = {"p": (SMALLEST * 10, LARGEST * 10), "q": (SMALLEST * 10, LARGEST * 10), "gamma": (1e-6, 1e6)}
    found = _maximise(lambda v: gamma_gamma_log_likelihood(scaled, *v), bounds, [(2, 3, 1), (6, 1.5, 0.5)], customers)
    values, fit = found.values, found.fit
    mean = values["p"] * values["gamma"] / (values["q"] - 1) if values["q"] > 1 else np.inf
    if not 1 / MEAN_TOLERANCE <= mean <= MEAN_TOLERANCE:
        values, fit = _tied_to_mean(scaled)
    # In the unit of the data: gamma is proportional to it, and the density of z inversely.
    errors = dict(fit.standard_errors)
    if errors.get("gamma") is not None:
        errors["gamma"] *= observed
    log_likelihood = fit.log_likelihood - customers * np.log(observed)
    fit = Fit(float(log_likelihood), customers, errors, fit.is_converged, fit.warning)
    return GammaGamma(values["p"], values["q"], values["gamma"] * observed, fit)


def _tied_to_mean(scaled: Spends) -> tuple[dict[str, float], Fit]:
    """Return the parameters of the greatest likelihood among those whose population mean is the observed one, 1."""

    def full(p: float, excess: float) -> tuple[float, float, float]:
        return p, 1 + excess, excess / p

    found = _maximise(
        lambda values: gamma_gamma_log_likelihood(scaled, *full(*values)),
        {"p": (SMALLEST * 10, LARGEST * 10), "q": (1e-2, LARGEST * 10)},
        [(2, 2), (6, 0.5)],
        scaled.customers.sum(),
    )
    warning = "amounts are too heavy-tailed for a population mean: tied to the observed mean"
    warnings = [warning, found.fit.warning] if found.fit.warning else [warning]
    p, q, gamma = full(found.values["p"], found.values["q"])
    fit = replace(found.fit, warning="; ".join(warnings))
    return {"p": p, "q": q, "gamma": gamma}, fit


def _distinct_spends(x: Array, z: Array) -> tuple[Array, Array, Array]:
    """Return the different (purchases, mean spend), sorted, and how many customers have each."""
    pairs, counts = np.unique(x + 1j * z, return_counts=True)
    if len(pairs) > MOST_DISTINCT_SPENDS:
        rounded = x + 1j * np.rint(np.log(z) / SPEND_CELL)
        pairs, counts = np.unique(rounded, return_counts=True)
        pairs = pairs.real + 1j * np.exp(pairs.imag * SPEND_CELL)
    return pairs.real.copy(), pairs.imag.copy(), counts.astype(float)


# ── Storing ───────────────────────────────────────────────────────────────────────────────────

MODELS = {"nbd": Nbd, "bg_nbd": BgNbd, "pareto_nbd": ParetoNbd, "gamma_gamma": GammaGamma}


def to_dict(model: Nbd | BgNbd | ParetoNbd | GammaGamma) -> dict[str, Any]:
    """Return a model as plain values, for JSON."""
    name = next(name for name, kind in MODELS.items() if kind is type(model))
    return {"model": name, **asdict(model)}


def from_dict(values: dict[str, Any]) -> Nbd | BgNbd | ParetoNbd | GammaGamma:
    """Return the model that `to_dict` described."""
    rest = {key: value for key, value in values.items() if key not in {"model", "fit"}}
    return MODELS[values["model"]](**rest, fit=Fit(**values["fit"]))
