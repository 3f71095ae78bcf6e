"""Names that differ by scores and the like, paired where only one can be meant."""

import re
from collections import defaultdict

from ._names import _FILLERS, ROLES, join_words

_BOARD = re.compile(r"(?:lb|public|private)\d*\.\d+")
_SCORE = re.compile(r"[a-z]*\d*\.\d+")
# What is written to a name beside whose predictions these are, in any place of it.
_BESIDE = {
    "final", "best", "last", "latest", "copy", "full", "all", "avg", "mean", "average",
    "averaged", "kaggle", "upload", "submit", "submitted", "result", "results", "lb",
    "score", "scores", "public", "private",
}  # fmt: skip
Key = tuple[str, ...]


def pair_alike(oof: list[Key], test: list[Key]) -> dict[Key, Key]:
    """Pair keys that are alike but for words such as ``final``, and for scores.

    Scores on the leaderboard are left aside first, then all scores. A pair is the only
    one that either key could have: other words, such as ``v2``, tell models apart.

    Examples
    --------
    >>> pair_alike([("cat",), ("lgbm",)], [("cat_sub_final",), ("lgbm_v2",)])
    {('cat',): ('cat_sub_final',)}
    >>> pair_alike([("lgbm_cv0.81",)], [("lgbm_cv0.81_lb0.80",)])
    {('lgbm_cv0.81',): ('lgbm_cv0.81_lb0.80',)}
    """
    pairs: dict[Key, Key] = {}
    for scores in (None, _BOARD, _SCORE):
        taken = set(pairs.values())
        ours = _by_words([key for key in oof if key not in pairs], scores)
        others = _by_words([key for key in test if key not in taken], scores)
        for words, keys in ours.items():
            if words and len(keys) == len(others.get(words, ())) == 1:
                pairs[keys[0]] = others[words][0]
    return pairs


def _by_words(keys, scores):
    groups = defaultdict(list)
    for key in keys:
        groups[_words(key, scores)].append(key)
    return groups


def _words(key, scores):
    parts = [join_words(part).lower() for part in key]
    split = [word for part in parts for word in re.split(r"[_\- ]+", part)]
    return tuple(
        word
        for word in split
        if word
        and word not in ROLES | _FILLERS | _BESIDE
        and not (scores and scores.fullmatch(word))
    )
