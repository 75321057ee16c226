"""Look-alikes: which customers outside a group resemble its members most, and how well that can be told at all.

A classifier learns members from non-members; who is no member and yet is taken for one resembles them. How well it
tells them apart is measured on customers that it has not seen (out of fold). Equal input, in any order of rows and
columns, gives equal output.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST_MEMBERS = 100
LEAST_NON_MEMBERS = 100
LEAST_AUC = 0.6
MOST_AUC_ALONE = 0.99
"""An attribute that alone tells members from others better than this is the segment's rule in other words."""
FOLDS = 5
SEED = 20_000_101
"""Of every draw: which customers are learned from, and the folds."""
MOST_LEARNED_FROM = 100_000
"""Members, and non-members, that a model learns from; drawn where there are more. AUC does not hang on their ratio."""
MOST_WORDS = 50
"""Values of a text that are told apart; rarer ones count as one."""
SCORED_AT_ONCE = 200_000
"""Rows that are scored in one go: bounds the memory."""
SCORE_DIGITS = 6
"""Digits of a score; equal scores are ranked by customer."""


class LookalikeError(ValueError):
    """There are no look-alikes to be had: too few customers, or nothing that tells the members from the others."""


@dataclass(frozen=True)
class Lookalikes:
    """The customers that resemble a group's members most.

    `customers` has the columns customer_id, similarity_score (in [0, 1]; orders customers, is no probability) and rank
    (from 1); `auc` is the area under the ROC curve on customers that the model had not seen; `giveaways` are attributes
    that were left out because each alone tells members from others.
    """

    customers: pd.DataFrame
    auc: float
    features: tuple[str, ...]
    giveaways: tuple[str, ...]
    member_count: int
    non_member_count: int


def find_lookalikes(attributes: pd.DataFrame, member_ids: Sequence[str], size: int) -> Lookalikes:
    """Return the `size` non-members that resemble the members most.

    Args:
        attributes: one row per customer, `customer_id` as index, one column per feature: numbers, flags or texts,
            missing values allowed. Columns without two different values are left out.
        member_ids: customers of the group; those without a row in `attributes` count for nothing.
        size: customers wanted.

    What tells members from others alone is left out, too: it is what makes them members, said otherwise.
    Raises LookalikeError below 100 members, 100 non-members or an AUC of 0.6, and where `size` is more than the
    non-members.

    """
    features = _features(attributes)
    is_member = features.index.isin(list(member_ids))
    member_count, non_member_count = int(is_member.sum()), int((~is_member).sum())
    _require_enough(member_count, non_member_count, size)
    # Several threads add gradients up in an order of their own: another machine would give other last digits.
    with threadpool_limits(1):
        return _found(features, is_member, size)


def _auc_alone(column: pd.Series, is_member: np.ndarray) -> float:
    """Return how well an attribute alone tells members from others: by its being there, or a number by its height."""
    is_known = column.notna().to_numpy()
    aucs = [roc_auc_score(is_member, is_known)]
    if is_numeric_dtype(column):
        heights = column.rank().to_numpy()
        aucs += [roc_auc_score(is_member, np.where(is_known, heights, end)) for end in (0, len(column) + 1)]
    return float(max(max(auc, 1 - auc) for auc in aucs))


def _found(features: pd.DataFrame, is_member: np.ndarray, size: int) -> Lookalikes:
    learned = _drawn(is_member)
    aucs = {name: _auc_alone(features.loc[learned, name], is_member[learned]) for name in features.columns}
    giveaways = tuple(name for name, auc in aucs.items() if auc > MOST_AUC_ALONE)
    features = features.drop(columns=list(giveaways))
    if features.columns.empty:
        message = "no attribute is left to tell members from others by"
        raise LookalikeError(message)
    model = _model(features)
    auc = out_of_fold_auc(model, features[learned], is_member[learned])
    if not auc >= LEAST_AUC:
        message = (
            f"members are not told from other customers by the attributes that are left: AUC {auc:.3f}, at least"
            f" {LEAST_AUC} is needed (0.5 is chance)"
        )
        raise LookalikeError(message)
    model.fit(features[learned], is_member[learned])
    customers = _ranked(model, features[~is_member]).head(size)
    counts = int(is_member.sum()), int((~is_member).sum())
    return Lookalikes(customers, auc, tuple(features.columns), giveaways, *counts)


def _require_enough(member_count: int, non_member_count: int, size: int) -> None:
    if member_count < LEAST_MEMBERS:
        message = f"{member_count:,} members are too few to learn from: at least {LEAST_MEMBERS} are needed"
        raise LookalikeError(message)
    if non_member_count < LEAST_NON_MEMBERS:
        message = f"{non_member_count:,} customers outside are too few: at least {LEAST_NON_MEMBERS} are needed"
        raise LookalikeError(message)
    if not 1 <= size <= non_member_count:
        message = f"{size:,} look-alikes are asked for: there are {non_member_count:,} customers outside the segment"
        raise LookalikeError(message)


def _features(attributes: pd.DataFrame) -> pd.DataFrame:
    """Return the attributes sorted by customer and name, as float64 and object, without constant ones."""
    if not attributes.index.is_unique:
        message = "attributes must have one row per customer"
        raise ValueError(message)
    columns = {}
    for name in sorted(attributes.columns):
        values = attributes[name]
        if is_numeric_dtype(values) or is_bool_dtype(values):
            column = values.astype("Float64").to_numpy(dtype="float64", na_value=np.nan)
            column = np.where(np.isfinite(column), column, np.nan)
        else:
            column = values.astype(object).where(values.notna(), None).to_numpy()
        if len(pd.unique(column)) > 1:
            columns[name] = pd.Series(column, attributes.index, dtype=column.dtype)
    return pd.DataFrame(columns, index=attributes.index).sort_index()


def _drawn(is_member: np.ndarray) -> np.ndarray:
    """Return the places of the customers that are learned from, in order."""
    chance = np.random.default_rng(SEED)
    places = [np.flatnonzero(is_member), np.flatnonzero(~is_member)]
    drawn = [
        chance.choice(group, MOST_LEARNED_FROM, replace=False) if len(group) > MOST_LEARNED_FROM else group
        for group in places
    ]
    mask = np.zeros(len(is_member), dtype=bool)
    mask[np.concatenate(drawn)] = True
    return mask


def _model(features: pd.DataFrame) -> Pipeline:
    """Return an unfitted model; what it learns of texts is part of it, so that scoring fits nothing."""
    texts = [name for name in features.columns if not is_numeric_dtype(features[name])]
    numbers = [name for name in features.columns if name not in texts]
    words = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan, max_categories=MOST_WORDS)
    columns = ColumnTransformer([("texts", words, texts), ("numbers", "passthrough", numbers)])
    trees = HistGradientBoostingClassifier(
        categorical_features=[place < len(texts) for place in range(len(features.columns))],
        # No weights by class: they hardly change an order, and with weights scikit-learn 1.9 finds the bins of each
        # feature in Python (20,000 customers and 58 features: 60 s instead of 4).
        # Stopping early would set rows aside by their order.
        early_stopping=False,
        learning_rate=0.1,
        max_iter=60,
        max_leaf_nodes=15,
        l2_regularization=1.0,
        random_state=SEED,
    )
    return Pipeline([("columns", columns), ("trees", trees)])


def out_of_fold_auc(model: Pipeline, features: pd.DataFrame, is_member: np.ndarray) -> float:
    """Return the AUC over customers that were each scored by a model that had not seen them: 5 stratified folds."""
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
    scores = cross_val_predict(model, features, is_member, cv=folds, method="predict_proba")[:, 1]
    return float(roc_auc_score(is_member, scores))


def _ranked(model: Pipeline, features: pd.DataFrame) -> pd.DataFrame:
    """Return customers with score and rank, the most similar first."""
    parts = [features.iloc[start : start + SCORED_AT_ONCE] for start in range(0, len(features), SCORED_AT_ONCE)]
    scores = np.concatenate([model.predict_proba(part)[:, 1] for part in parts]).round(SCORE_DIGITS)
    customers = pd.DataFrame({"customer_id": features.index, "similarity_score": scores})
    customers = customers.sort_values(["similarity_score", "customer_id"], ascending=[False, True], ignore_index=True)
    customers["rank"] = np.arange(1, len(customers) + 1)
    return customers
