"""What a file's name says: whose predictions it holds, and of which rows."""

import re
from pathlib import Path

OOF = {"oof", "oofs"}
WEAK_OOF = {"train", "valid", "val", "cv"}
TEST = {"test", "tst", "sub", "subm", "submission", "submissions"}
WEAK_TEST = {"pred", "preds", "prediction", "predictions"}
_FILLERS = {"proba", "probas", "probs", "prob", "nodes", "outputs", "output"}
ROLES = OOF | WEAK_OOF | TEST | WEAK_TEST
# Full, then careful: the careful one leaves words that may belong to a name.
STRIPPED = (ROLES | _FILLERS, OOF | TEST | WEAK_OOF)
NOT_MEMBERS = {
    "target", "targets", "y", "y_train", "ytrain", "y_true", "labels", "label",
    "folds", "fold", "sample_submission", "samplesubmission", "sample", "weights",
    "scores", "leaderboard", "ids", "id", "oof_blend",
}  # fmt: skip


def words(name: str) -> list[str]:
    """Split a name at signs that are no letters or digits."""
    return [word for word in re.split(r"[_\-. ]+", name.lower()) if word]


def role_of(stem: str, folders: tuple[str, ...]) -> str | None:
    """Return ``"oof"``, ``"test"``, or None where the name does not say.

    The file's own name counts before its folders, the nearest folder first;
    ``oof_test`` means the test rows, as in the usual ``get_oof`` recipe.
    """
    own = set(words(stem))
    if own & TEST:
        return "test"
    if own & OOF:
        return "oof"
    for folder in reversed(folders):
        role = _weak_role(set(words(folder)))
        if role is not None:
            return role
    return _weak_role(own)


def _weak_role(named):
    if named & OOF:
        return "oof"
    if named & TEST:
        return "test"
    if named & WEAK_OOF:
        return "oof"
    return "test" if named & WEAK_TEST else None


def strip_roles(name: str, roles: set[str]) -> str:
    """Take words on roles off both ends of a name.

    Examples
    --------
    >>> strip_roles("oof_preds_lgbm_v2", STRIPPED[0])
    'lgbm_v2'
    """
    choice = "|".join(sorted(roles, key=len, reverse=True))
    for pattern in (rf"^(?:{choice})(?:[_\-. ]+|$)", rf"(?:^|[_\-. ]+)(?:{choice})$"):
        strip = re.compile(pattern, re.I)
        while (shorter := strip.sub("", name)) != name:
            name = shorter
    return name


def key_of(stem: str, folders: tuple[str, ...], roles: set[str]) -> tuple[str, ...]:
    """Name a member by its folders and file, less the words on roles."""
    parts = [strip_roles(part, roles) for part in (*folders, stem)]
    return tuple(part for part in parts if part)


def pattern_of(relative: Path, name: str) -> str:
    """Write a path with ``<m>`` for the member's name."""
    text = relative.as_posix()
    last = name.rsplit("/", 1)[-1]
    return text.replace(name, "<m>") if name in text else text.replace(last, "<m>")
