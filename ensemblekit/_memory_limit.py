"""How much memory there is, asked before a large array is made."""

import os
from pathlib import Path

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

_CGROUP = Path("/sys/fs/cgroup")
_UNLIMITED = 2**60  # version 1 of cgroups says so with a number near 2**63
_SMALL = 2**24  # bytes for which nobody is asked: that takes longer than they matter


def check_memory(n_bytes, what):
    """Refuse an array that does not fit, before anything is computed for it.

    Parameters
    ----------
    n_bytes : int
        Memory that it takes at its peak, copies included.
    what : str
        Names the array and its shape.

    Raises
    ------
    MemoryError
        Says what is asked for, and how much there is.
    """
    if n_bytes <= _SMALL:
        return
    there_is = available_bytes()
    if there_is is not None and n_bytes > there_is:
        raise MemoryError(
            f"{what} takes {n_bytes / 1e9:.3g} GB with its copies, but "
            f"{there_is / 1e9:.3g} GB of memory are available. Use fewer rows or "
            "members, or a machine with more memory."
        )


def available_bytes():
    """Return the least that machine, container and limits leave; None if unknown."""
    known = [
        free
        for free in (_of_machine(), _of_address_space(), _of_container(_CGROUP))
        if free is not None
    ]
    return max(0, min(known)) if known else None


def _of_machine():
    """Memory free or easily freed; where nobody says, all that is built in."""
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return 1024 * int(line.split()[1])
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _of_address_space():
    """What ``ulimit -v`` leaves of the address space."""
    if resource is None:
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    pages = _lines("/proc/self/statm")
    if limit == resource.RLIM_INFINITY or not pages:
        return None
    return limit - int(pages[0].split()[0]) * resource.getpagesize()


def _of_container(folder):
    """What the limit of a control group leaves; its file cache counts as free."""
    for limit, used, cache in (
        ("memory.max", "memory.current", "inactive_file"),
        (
            "memory/memory.limit_in_bytes",
            "memory/memory.usage_in_bytes",
            "total_inactive_file",
        ),
    ):
        most, now = _number(folder / limit), _number(folder / used)
        if most is None or now is None or most > _UNLIMITED:
            continue
        cached = 0
        for line in _lines((folder / limit).parent / "memory.stat"):
            if line.startswith(f"{cache} "):
                cached = int(line.split()[1])
        return most - now + cached
    return None


def _number(path):
    lines = _lines(path)
    return int(lines[0]) if lines and lines[0].strip().isdigit() else None


def _lines(path):
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
