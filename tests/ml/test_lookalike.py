"""Look-alikes on made customers, where it is known who resembles whom."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ml.lookalike import LEAST_AUC, LookalikeError, _features, _model, find_lookalikes, out_of_fold_auc

MEMBERS, ALIKE, OTHERS = 200, 100, 900


def made_customers(seed: int = 1) -> tuple[pd.DataFrame, list[str], set[str]]:
    """Return attributes, members, and the non-members that were drawn like members."""
    chance = np.random.default_rng(seed)
    count = MEMBERS + ALIKE + OTHERS
    is_like = np.arange(count) < MEMBERS + ALIKE
    # Keys that say nothing about the group, also not by their order.
    ids = np.array([f"c{number:05}" for number in chance.permutation(count)])
    visits = np.where(is_like, chance.normal(12, 2, count), chance.normal(4, 2, count)).round()
    frame = pd.DataFrame(
        {
            "visits": visits,
            "email_opt_in": chance.random(count) < np.where(is_like, 0.9, 0.3),
            "city": np.where(chance.random(count) < np.where(is_like, 0.8, 0.1), "Berlin", "Paris"),
            "noise": chance.normal(size=count),
            "constant": 1,
            "never known": None,
        },
        index=pd.Index(ids, name="customer_id"),
    )
    frame["visits"] = frame["visits"].astype("Float64").mask(chance.random(count) < 0.05)
    frame["city"] = frame["city"].astype(object).mask(chance.random(count) < 0.05, None)
    return frame, list(ids[:MEMBERS]), set(ids[MEMBERS : MEMBERS + ALIKE])


def noise(count: int, seed: int) -> pd.DataFrame:
    chance = np.random.default_rng(seed)
    index = pd.Index([f"c{number:05}" for number in range(count)], name="customer_id")
    return pd.DataFrame(chance.normal(size=(count, 5)), index=index, columns=list("abcde"))


def test_planted_lookalikes_are_found_and_members_are_not() -> None:
    attributes, members, alike = made_customers()
    found = find_lookalikes(attributes, members, ALIKE)
    chosen = set(found.customers["customer_id"])
    assert not chosen & set(members)
    assert len(chosen & alike) >= 0.9 * ALIKE
    assert found.auc > 0.8
    assert list(found.customers["rank"]) == list(range(1, ALIKE + 1))
    assert found.customers["similarity_score"].is_monotonic_decreasing
    assert found.customers["similarity_score"].between(0, 1).all()
    assert (found.member_count, found.non_member_count) == (MEMBERS, ALIKE + OTHERS)


def test_what_alone_tells_members_from_others_is_left_out() -> None:
    attributes, members, _ = made_customers()
    is_member = attributes.index.isin(members)
    attributes["only theirs"] = pd.Series(1.0, attributes.index).where(is_member).where(attributes["noise"] < 3)
    attributes["word"] = pd.Series("a", attributes.index).where(~is_member, None)
    attributes["height"] = np.where(is_member, 5 + attributes["noise"], attributes["noise"] - 5)
    attributes["depth"] = -attributes["height"]
    plain = find_lookalikes(attributes[["city", "noise", "visits"]], members, 10)
    found = find_lookalikes(
        attributes[["city", "noise", "visits", "only theirs", "word", "height", "depth"]], members, 10
    )
    assert found.giveaways == ("depth", "height", "only theirs", "word")
    assert plain.giveaways == ()
    pd.testing.assert_frame_equal(found.customers, plain.customers)


def test_what_never_differs_is_no_feature() -> None:
    attributes, members, _ = made_customers()
    assert find_lookalikes(attributes, members, 1).features == ("city", "email_opt_in", "noise", "visits")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_order_of_rows_columns_and_members_changes_nothing(seed: int) -> None:
    attributes, members, _ = made_customers()
    found = find_lookalikes(attributes, members, 500)
    chance = np.random.default_rng(seed)
    shuffled = attributes.iloc[chance.permutation(len(attributes)), chance.permutation(len(attributes.columns))]
    again = find_lookalikes(shuffled, list(chance.permutation(members)), 500)
    pd.testing.assert_frame_equal(found.customers, again.customers)
    assert found.auc == again.auc


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_noise_is_refused_with_an_auc_near_a_half(seed: int) -> None:
    attributes = noise(1_000, seed)
    members = list(np.random.default_rng(seed + 100).choice(attributes.index, 300, replace=False))
    features = _features(attributes)
    auc = out_of_fold_auc(_model(features), features, features.index.isin(members))
    assert abs(auc - 0.5) < 0.08
    with pytest.raises(LookalikeError, match=rf"AUC 0\.[45]\d\d, at least {LEAST_AUC}"):
        find_lookalikes(attributes, members, 10)


def test_each_customer_is_judged_by_a_model_that_has_not_seen_it() -> None:
    """Trees know noise by heart: measured on what they learned from, they would be taken for good."""
    attributes = noise(400, 7)
    members = attributes.index[:200].isin(attributes.index)
    is_member = np.append(members, ~members)
    model = _model(attributes)
    by_heart = model.fit(attributes, is_member).predict_proba(attributes)[:, 1]
    assert (by_heart[:200].mean() - by_heart[200:].mean()) > 0.3
    assert out_of_fold_auc(model, attributes, is_member) < LEAST_AUC


def test_score_of_a_customer_needs_no_other_customer() -> None:
    """Scoring fits nothing: the fitted encoder and trees are used as they are."""
    attributes, members, _ = made_customers()
    features = _features(attributes)
    model = _model(features).fit(features, features.index.isin(members))
    together = model.predict_proba(features)[:50, 1]
    alone = [model.predict_proba(features.iloc[[place]])[0, 1] for place in range(50)]
    assert list(together) == alone


def test_words_that_were_not_learned_are_all_one() -> None:
    """A sample does not hold every value of a text."""
    attributes, members, _ = made_customers()
    features = _features(attributes)
    model = _model(features).fit(features, features.index.isin(members))
    oslo, rome = (model.predict_proba(features.head(3).assign(city=city))[:, 1] for city in ("Oslo", "Rome"))
    assert list(oslo) == list(rome)


@pytest.mark.parametrize(
    ("members", "others", "size", "message"),
    [
        (99, 500, 10, "99 members are too few to learn from: at least 100 are needed"),
        (500, 99, 10, "99 customers outside are too few: at least 100 are needed"),
        (200, 300, 301, "301 look-alikes are asked for: there are 300 customers outside the segment"),
        (200, 300, 0, "0 look-alikes are asked for"),
    ],
)
def test_too_few_are_refused(members: int, others: int, size: int, message: str) -> None:
    attributes = noise(members + others, 5)
    attributes.iloc[:members] += 3
    with pytest.raises(LookalikeError, match=message):
        find_lookalikes(attributes, list(attributes.index[:members]), size)


def test_a_hundred_of_each_are_enough() -> None:
    attributes = noise(200, 5)
    attributes.iloc[:100] += 3
    attributes.iloc[100:110] += 3
    found = find_lookalikes(attributes, list(attributes.index[:100]), 100)
    assert len(found.customers) == 100
    assert set(found.customers["customer_id"]) == set(attributes.index[100:])


def test_without_features_nothing_is_found() -> None:
    attributes = noise(300, 5)[[]]
    with pytest.raises(LookalikeError, match="no attribute is left"):
        find_lookalikes(attributes, list(attributes.index[:150]), 10)


def test_members_without_attributes_count_for_nothing() -> None:
    attributes, members, _ = made_customers()
    with pytest.raises(LookalikeError, match="0 members are too few"):
        find_lookalikes(attributes.drop(members), members, 10)
