"""Objects out of JSON files that anyone may have written or edited."""

import json
from pathlib import Path
from typing import Any

from ..exceptions import FileError
from ._open import check_regular, system_errors


def read_object(path: Path, largest: int, advice: str) -> dict[str, Any]:
    """Return the object of a JSON file.

    path : regular file; largest : bytes it may have; advice : what to do if it is unfit

    Raises
    ------
    FileError
        If it is no file, too large, no UTF-8, no JSON, no object, repeats a key, or
        holds NaN, infinity or text that is no Unicode.
    """
    try:
        size = check_regular(path)
    except FileError as error:
        raise FileError(path, None, error.problem, advice) from None
    if size > largest:
        raise FileError(path, None, f"is larger than {largest} bytes.", advice)
    with system_errors(path):
        content = path.read_bytes()
    found = _parse(path, content, advice)
    if not isinstance(found, dict):
        raise FileError(path, None, "is no JSON object of names and values.", advice)
    return found


def _parse(path, content, advice):
    try:
        text = content.decode("utf-8-sig")
        found = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
        if "\\ud" in text.lower():  # half of a pair of surrogates cannot be written
            json.dumps(found, ensure_ascii=False).encode()
        return found
    except json.JSONDecodeError as error:
        problem = f"is no JSON: {error.msg}."
        raise FileError(path, error.lineno, problem, advice) from None
    except UnicodeError:
        raise FileError(path, None, "is no JSON in UTF-8.", advice) from None
    except RecursionError:
        problem = "is no JSON that can be read: it is nested too deeply."
        raise FileError(path, None, problem, advice) from None
    except ValueError as error:
        raise FileError(path, None, f"is no JSON: {error}.", advice) from None


def _unique(pairs):
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} stands twice")
    return found


def _refuse(name):
    raise ValueError(f"{name} is no number that can be used")
