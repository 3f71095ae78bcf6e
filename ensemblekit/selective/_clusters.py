"""An order of members in which those that err alike are neighbours."""

import numpy as np

_MOST_ORDERED = 300  # beyond, the best order of the leaves takes too long


def cluster(correlation):
    """Return the members in the order of the leaves of an average-linkage tree.

    correlation : (n_members, n_members), NaN where it is undefined, as for 0
    """
    m = len(correlation)
    if m < 3:
        return np.arange(m)
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    distance = np.maximum(1.0 - np.nan_to_num(correlation, nan=0.0), 0.0)
    distance = (distance + distance.T) / 2.0
    np.fill_diagonal(distance, 0.0)
    condensed = squareform(distance, checks=False)
    tree = linkage(condensed, "average", optimal_ordering=m <= _MOST_ORDERED)
    return leaves_list(tree).astype(np.int64)
