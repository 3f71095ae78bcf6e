"""Findings on files, printed: those alike are counted after the first few."""

import re

from ._common import printable

_ALIKE = 10
_VARIES = re.compile(r"'[^']*'|\[[^]]*\]|\S*\d\S*|\S*[/\\]\S*")


def print_findings(findings) -> None:
    """Print each finding on a line, up to ten alike; then how many more there are.

    Alike are hints of the same advice, and errors of the same words, whatever the
    names and numbers in them.
    """
    groups: dict[tuple[str, str], list] = {}
    for finding in findings:
        groups.setdefault(_kind(finding), []).append(finding)
    shown = {id(each) for group in groups.values() for each in group[:_ALIKE]}
    for finding in findings:
        if id(finding) in shown:
            print(printable(str(finding)))
    for (level, _), group in groups.items():
        if len(group) > _ALIKE:
            print(printable(_rest(level, group)))


def _kind(finding):
    if finding.level == "error":
        return finding.level, _VARIES.sub("#", finding.problem)
    return finding.level, finding.advice


def _rest(level, group):
    count, advice = len(group) - _ALIKE, group[0].advice
    if level != "error":
        return f"{level}: {count} more. {advice}".rstrip()
    return f"error: {count} more like that of {group[0].file}. {advice}".rstrip()
