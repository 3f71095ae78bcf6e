"""A folder of predictions and models, each under the digest of what made it."""

import os
import stat
import time
import warnings
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _model_files
from ._entries import Entry, encode_entry, read_entry, write_entry
from .exceptions import CacheWarning

__all__ = ["PredictionCache"]

_ABANDONED = 3600.0  # seconds until what a killed writer left is swept away
_complained: set[str] = set()  # folders whose trouble was told since `prepare`


@dataclass(frozen=True)
class PredictionCache:
    """A folder of held-out predictions and fold models that outlives the process.

    An entry is named by a digest of all it depends on: the member and its parameters,
    the code of its class, the rows, the split, the seed and the versions of the
    packages. A fit with the same digest takes the entry and fits nothing. Any number
    of processes may share a folder. An entry is whole or not there; one that is
    damaged or foreign is deleted with a `CacheWarning` and made again. If the folder
    takes no entries (disk full, read-only), one warning says so and the fit goes on.
    Delete the folder to empty the cache.

    Parameters
    ----------
    folder : str or path-like
        Made when first needed, for its owner alone. A folder that belongs to somebody
        else, or that others may write to, is refused.
    models : {"skops", "joblib"} or None, default="skops"
        How fitted models are written; predictions are plain numbers in any case.

        - ``"skops"``: reading calls no function that a file names. Classes are made
          only if skops itself trusts them, or they are defined in the packages of the
          member and of the estimators it is made of. A model that holds others, or
          that skops cannot write, is fitted again when it is needed; so are all
          models where skops is not installed (extra ``cache``).
        - ``"joblib"``: any model that can be pickled, faster and smaller, but reading
          **executes code** that a file names. Only for folders that nobody else can
          write to.
        - None: no models.
    max_memory : int, default=2**28
        Bytes of models that this process keeps at hand for a folder, by the size of
        their pickles; those used least recently go first, and 0 keeps none (>= 0).
        They are shared by all fits that use them: do not change them.

    Notes
    -----
    Checksums tell damage, not malice: whoever may write to the folder may write an
    entry that is whole and wrong. Classes and functions count by their own code and
    by their package's version; a helper that changes in a package whose version does
    not is not seen.

    An entry of 8 kB is read in 0.03 ms, and written in 0.3 ms plus the time the disk
    takes to make it durable, 1 to 20 ms. skops takes some four times longer than
    joblib: 0.4 s to write, or to read, a forest of 100 trees.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cache = PredictionCache(folder).prepare()
    ...     stored = cache.store("a1", {"oof": np.array([0.5, 0.7])}, {"seconds": 0.1})
    ...     stored, cache.load("a1").arrays["oof"], cache.load("b2")
    (True, array([0.5, 0.7]), None)
    """

    folder: str | os.PathLike
    models: str | None = field(default="skops", kw_only=True)
    max_memory: int = field(default=2**28, kw_only=True)

    def prepare(self) -> "PredictionCache":
        """Make the folder and tidy it; to be called when a fit begins.

        Returns
        -------
        self : PredictionCache

        Raises
        ------
        ValueError
            If a parameter is out of range.
        NotADirectoryError
            If there is a file in the folder's place.
        PermissionError
            If the folder belongs to somebody else, or others may write to it.
        """
        if self.models not in (*_model_files.SERIALISERS, None):
            raise ValueError(
                f"models is {self.models!r}; expected 'skops', 'joblib' or None."
            )
        if not self.max_memory >= 0:
            raise ValueError(f"max_memory is {self.max_memory}; expected 0 or more.")
        _complained.discard(self._folder)
        try:
            os.makedirs(self._folder, mode=0o700, exist_ok=True)
        except FileExistsError:
            raise NotADirectoryError(
                f"The cache folder {self._folder} is a file; expected a folder."
            ) from None
        except OSError as error:
            self._complain(error)
        _refuse_shared(self._folder)
        _sweep(Path(self._folder))
        return self

    def load(self, key: str) -> Entry | None:
        """Return what was stored under the key.

        Parameters
        ----------
        key : str

        Returns
        -------
        entry : Entry or None
            Its `arrays` (dict of ndarray) and `meta` (dict); None if there is no whole
            entry of this key.
        """
        return self._read(f"{key}.oof", key)

    def store(self, key: str, arrays: dict[str, NDArray], meta: dict) -> bool:
        """Write an entry, or nothing.

        Parameters
        ----------
        key : str
        arrays : dict of ndarray
            Of numbers, text or times.
        meta : dict
            What JSON can hold; comes back as JSON has it, tuples as lists.

        Returns
        -------
        stored : bool
            False if disk or folder did not take it; a `CacheWarning` has told why.

        Raises
        ------
        TypeError
            If an array holds objects, or `meta` what JSON does not know.
        """
        return self._write(f"{key}.oof", key, Entry(arrays, meta))

    def load_model(self, key: str, trusted: frozenset[str] = frozenset()) -> Any:
        """Return the model stored under the key.

        Parameters
        ----------
        key : str
        trusted : set of str
            The `trusted_packages` of its member.

        Returns
        -------
        model : fitted estimator or None
            None if there is none, or none that is trusted.
        """
        model = _model_files.recall(self._folder, key)
        if model is not None or self.models is None:
            return model
        entry = self._read(f"{key}.{self.models}", key)
        if entry is None or "model" not in entry.arrays:
            return None
        data = entry.arrays["model"].tobytes()
        model = _model_files.load_model(data, self.models, trusted)
        self.remember_model(key, model)
        return model

    def store_model(self, key: str, model: Any) -> bool:
        """Keep a fitted model at hand, and write it if that can be done.

        Parameters
        ----------
        key : str
        model : fitted estimator

        Returns
        -------
        stored : bool
            Whether it was written.
        """
        self.remember_model(key, model)
        if self.models is None:
            return False
        data = _model_files.dump_model(model, self.models)
        if data is None:
            return False
        entry = Entry({"model": np.frombuffer(data, np.uint8)}, {})
        return self._write(f"{key}.{self.models}", key, entry)

    def remember_model(self, key: str, model: Any) -> None:
        """Keep a model at hand in this process, as `max_memory` allows.

        Parameters
        ----------
        key : str
            Name of the entry, a digest.
        model : estimator or None
            Fitted; None is not kept.
        """
        if model is not None and self.max_memory:
            _model_files.remember(self._folder, key, model, self.max_memory)

    @property
    def _folder(self):
        return os.path.abspath(self.folder)

    def _read(self, name, key):
        path = Path(self._folder, name)
        _refuse_shared(path.parent)
        try:
            return read_entry(path, key)
        except FileNotFoundError:
            return None
        except OSError as error:
            return self._complain(error)
        except ValueError as error:
            return _discard(path, error)

    def _write(self, name, key, entry):
        parts = encode_entry(key, entry)
        path = Path(self._folder, name)
        _refuse_shared(path.parent)
        try:
            write_entry(path, parts)
        except OSError as error:
            self._complain(error)
            return False
        return True

    def _complain(self, error):
        """Warn of the folder once a fit, not once an entry."""
        if self._folder in _complained:
            return
        _complained.add(self._folder)
        warnings.warn(
            f"The cache folder {self._folder} cannot be used ({error}). The fit goes "
            "on; what is not stored is computed again another time.",
            CacheWarning,
            stacklevel=4,
        )


def as_cache(memory: Any) -> PredictionCache | None:
    """Return the cache that a parameter `memory` means: a folder's, itself, or None.

    Raises
    ------
    TypeError
        If it is something else.
    """
    if memory is None or isinstance(memory, PredictionCache):
        return memory
    if isinstance(memory, str | os.PathLike):
        return PredictionCache(memory)
    raise TypeError(
        f"memory is {memory!r}; expected a folder, a PredictionCache or None."
    )


def _refuse_shared(folder):
    """Raise PermissionError if another user could put entries into the folder."""
    try:
        status = os.stat(folder)
    except OSError:  # what is to be read or written there will say it better
        return
    if not hasattr(os, "getuid"):  # rights of another kind
        return
    if status.st_uid != os.getuid():
        raise PermissionError(
            f"The cache folder {folder} belongs to the user with number "
            f"{status.st_uid}, who may put anything into it. Use one of your own."
        )
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(
            f"Others may write to the cache folder {folder}. If all in it is yours, "
            f"run chmod go-w {folder}; else use another."
        )


def _sweep(folder):
    for partial in folder.glob(".*.partial"):
        with suppress(OSError):
            if time.time() - partial.stat().st_mtime > _ABANDONED:
                partial.unlink()


def _discard(path, error):
    with suppress(OSError):
        path.unlink()
    warnings.warn(
        f"The cache entry {path.name} was damaged or foreign ({error}). It is deleted "
        "and computed again.",
        CacheWarning,
        stacklevel=5,
    )
