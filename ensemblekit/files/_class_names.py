"""Which class a column is of, by its name: ``p0``, ``lgbm_cat``, ``probYes``."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

_SIGNS = "_-. "
_BOOLS = ({"0": "false", "1": "true"}, {"false": "0", "true": "1"})


class Family(NamedTuple):
    """Columns that differ in the class alone, in the order of the classes.

    rest : what their names have besides
    """

    rest: str
    columns: list[str]


class Part(NamedTuple):
    """A label inside of a column's name; `word` where it is more than a number."""

    label: str
    word: bool


class ClassNames:
    """Labels, and the ways they are written in names of columns.

    Capitals do not count unless labels differ by them alone; of 0 and 1, False and True
    are other ways to write them.
    """

    def __init__(self, classes: Any):
        self.labels = [str(label) for label in classes]
        lower = [label.lower() for label in self.labels]
        self._folded = len(set(lower)) == len(lower)
        self._spellings = [lower if self._folded else self.labels]
        for other in _BOOLS:
            if set(lower) == set(other):
                self._spellings.append([other[label] for label in lower])
        texts = [
            (text, self.labels[k])
            for spelling in self._spellings
            for k, text in enumerate(spelling)
        ]
        self._texts = sorted(texts, key=lambda pair: len(pair[0]), reverse=True)

    def _fold(self, name):
        return name.lower() if self._folded else name

    def among(self, names: list[str]) -> set[str]:
        """Return the names that are labels, if each label has one; else none."""
        folded = {name: self._fold(name) for name in names}
        for spelling in self._spellings:
            if set(spelling) <= set(folded.values()):
                return {name for name, text in folded.items() if text in spelling}
        return set()

    def families(self, names: list[str], last: bool) -> tuple[list[Family], list[str]]:
        """Find columns whose names differ in the label alone.

        last : where a name holds several labels, try the one at the end first

        Returns
        -------
        families, left : the columns that are in none
        """
        left = {self._fold(name): name for name in names}
        if len(left) < len(names):  # names that differ in capitals alone
            return [], names
        found = []
        for key in list(left):
            family = next(self._families_of(key, left, last), None)
            if key in left and family is not None:
                rest, keys = family
                found.append(Family(rest, [left.pop(each) for each in keys]))
        return found, list(left.values())

    def _families_of(self, key, left, last) -> Iterator[tuple[str, list[str]]]:
        for spelling in self._spellings:
            places = {at for text in spelling for at in _find_all(text, key)}
            for start, end in sorted(places, key=_by_end, reverse=last):
                before, after = key[:start], key[end:]
                keys = [f"{before}{text}{after}" for text in spelling]
                if all(each in left for each in keys):
                    yield _join(left[key], start, end), keys

    def find(self, name: str) -> Part | None:
        """Return the label that stands as a word of its own in a name.

        A word begins after a sign, with a capital, or where a number follows a letter.
        """
        folded, best = self._fold(name), None
        for text, label in self._texts:
            for start, end in _find_all(text, folded):
                if len(folded) != len(name) or not _stands_alone(name, start, end):
                    continue
                rank = (start == 0 and end == len(name), end == len(name), start == 0)
                if best is None or rank > best[0]:
                    best = (rank, Part(label, not text.lstrip("-").isdigit()))
        return None if best is None else best[1]


def _find_all(text, name):
    start = name.find(text)
    while start >= 0 and text:
        yield start, start + len(text)
        start = name.find(text, start + 1)


def _by_end(place):
    return place[1], -place[0]


def _join(name, start, end):
    before, after = name[:start], name[end:]
    if before[-1:] in _SIGNS and after[:1] in _SIGNS:
        before = before[:-1]
    return (before + after).strip(_SIGNS)


def _stands_alone(name, start, end):
    return _begins(name, start, end) and _ends(name, end)


def _begins(name, start, end):
    if start == 0 or name[start - 1] in _SIGNS or not name[start].isalnum():
        return True
    before, first = name[start - 1], name[start]
    if first.isdigit():
        return before.isalpha()
    capital = first.isupper() and not before.isupper()
    word = re.match(r"[^\W\d_]{2}", name[start:end]) and name[start + 1].islower()
    return capital or bool(first.isupper() and word)


def _ends(name, end):
    if end == len(name) or name[end] in _SIGNS:
        return True
    return name[end].isupper() and name[end - 1].islower()
