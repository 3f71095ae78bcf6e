"""What a file's name says: whose predictions it holds, and of which rows."""

import re
from pathlib import Path

OOF = {"oof", "oofs"}
WEAK_OOF = {"train", "valid", "validation", "val", "cv", "holdout", "heldout"}
TEST = {"test", "tests", "tst", "sub", "subs", "subm", "submission", "submissions"}
WEAK_TEST = {"pred", "preds", "prediction", "predictions"}
_FILLERS = {"proba", "probas", "probs", "prob", "nodes", "outputs", "output"}
ROLES = OOF | WEAK_OOF | TEST | WEAK_TEST
# Full, then careful: the careful one leaves words that may belong to a name.
STRIPPED = (ROLES | _FILLERS, OOF | TEST | WEAK_OOF)
# Words that are one, however they are written, and what they say.
_ONE_WORD = {
    "oof": re.compile(r"(?<![a-z])out[_\-. ]?of[_\-. ]?folds?(?![a-z])", re.I),
    "heldout": re.compile(
        r"(?<![a-z])(?:held[_\-. ]out|hold[_\-. ]out)(?![a-z])", re.I
    ),
}
NOT_MEMBERS = {
    "target", "targets", "y", "y_train", "ytrain", "y_true", "labels", "label",
    "folds", "fold", "sample_submission", "samplesubmission", "sample", "weights",
    "scores", "leaderboard", "ids", "id", "oof_blend",
}  # fmt: skip


def words(name: str) -> list[str]:
    """Split a name at signs that are no letters or digits.

    Examples
    --------
    >>> words("out_of_fold_lgbm-v2")
    ['oof', 'lgbm', 'v2']
    """
    return [word for word in re.split(r"[_\-. ]+", join_words(name).lower()) if word]


def join_words(name: str) -> str:
    """Write ``oof`` for ``out_of_fold``, and ``heldout`` for ``held_out``."""
    for word, written in _ONE_WORD.items():
        name = written.sub(word, name)
    return name


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
    if named & TEST:
        return "test"
    if named & OOF or named & WEAK_OOF:
        return "oof"
    return "test" if named & WEAK_TEST else None


def says_test(stem: str, folders: tuple[str, ...]) -> bool:
    """Whether a name says ``test`` or the like, and not only ``preds``."""
    return any(set(words(part)) & TEST for part in (stem, *folders))


def strip_roles(name: str, roles: set[str]) -> str:
    """Take words on roles off both ends of a name.

    Examples
    --------
    >>> strip_roles("oof_preds_lgbm_v2", STRIPPED[0])
    'lgbm_v2'
    """
    said = [*sorted(roles, key=len, reverse=True)]
    said += [_ONE_WORD[word].pattern for word in _ONE_WORD if word in roles]
    choice = "|".join(said)
    for pattern in (rf"^(?:{choice})(?:[_\-. ]+|$)", rf"(?:^|[_\-. ]+)(?:{choice})$"):
        strip = re.compile(pattern, re.I)
        while (shorter := strip.sub("", name)) != name:
            name = shorter
    return name


def key_of(stem: str, folders: tuple[str, ...], roles: set[str]) -> tuple[str, ...]:
    """Name a member by its folders and file, less the words on roles."""
    parts = [strip_roles(part, roles) for part in (*folders, stem)]
    return tuple(part for part in parts if part)


def display_names(
    keys: list[tuple[str, ...]], fallback: str
) -> dict[tuple[str, ...], str]:
    """Name members by their own last words, or with folders where those repeat."""
    if len({key[-1:] for key in keys}) == len(keys):
        names = {key: "".join(key[-1:]) for key in keys}
        return {key: name or fallback for key, name in names.items()}
    shared = 0
    if len(keys) > 1:
        while all(len(key) > shared + 1 for key in keys) and (
            len({key[shared] for key in keys}) == 1
        ):
            shared += 1
    names = {key: "/".join(key[shared:]) for key in keys}
    return {key: name or fallback for key, name in names.items()}


def pattern_of(relative: Path, name: str) -> str:
    """Write a path with ``<m>`` for the member's name."""
    text = relative.as_posix()
    last = name.rsplit("/", 1)[-1]
    return text.replace(name, "<m>") if name in text else text.replace(last, "<m>")
