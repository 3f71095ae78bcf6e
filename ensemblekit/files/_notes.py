"""Notes on what was decided."""


def merge_notes(notes: list[str]) -> list[str]:
    """Say once what holds for several files.

    Examples
    --------
    >>> merge_notes(["a.csv: decimal commas", "b.csv: decimal commas"])
    ['a.csv and 1 more: decimal commas']
    """
    files: dict[str, list[str]] = {}
    for note in notes:
        file, _, text = note.partition(": ")
        files.setdefault(text, []).append(file)
    merged = []
    for text, names in files.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        merged.append(f"{names[0]}{more}: {text}" if text else names[0])
    return merged
