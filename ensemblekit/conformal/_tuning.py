"""What RAPS is not given, chosen on rows that neither train nor calibrate."""

import numpy as np

from .. import kernels
from .ranks import upper_rank
from .sets import class_scores, thresholds

# The values of the RAPS paper, of which the smallest sets choose.
PENALTIES = (0.001, 0.01, 0.1, 0.2, 0.5)
TUNING_SHARE = 0.2


def tuning_rows(y, train, rng):
    """Return a random fifth of the rows, but one row of each class at least stays."""
    order = rng.permutation(train)
    others = np.delete(order, np.unique(y[order], return_index=True)[1])
    return others[: max(1, round(TUNING_SHARE * len(train)))]


def best_k_reg(probabilities, codes, level):
    """Return the rank at the conformal rank of the ranks of the true classes."""
    ranks = np.sort(kernels.conformal_sets.ranks_of_labels(probabilities, codes))
    k = upper_rank(len(ranks), level)
    return int(ranks[k - 1]) if k <= len(ranks) else probabilities.shape[1]


def best_penalty(probabilities, codes, level, k_reg):
    """Return the penalty of the smallest sets, the first of equal ones."""
    ones, sizes = np.ones(len(codes)), []
    for penalty in PENALTIES:
        options = "raps", ones, penalty, k_reg
        own = np.sort(class_scores(probabilities, codes, *options))
        scores = class_scores(probabilities, None, *options)
        sizes.append(np.count_nonzero(scores <= thresholds([own], [level])))
    return PENALTIES[int(np.argmin(sizes))]
