"""P out of blocks: in memory, or in a scratch file that is mapped."""

import shutil
import tempfile
import weakref
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..exceptions import FileError
from ._blocks import Block, array_block, spans
from ._open import unreadable

IN_MEMORY = 2**30


class Scratch:
    """A folder that goes with its owner."""

    def __init__(self, parent=None):
        self.parent = parent
        self.folder: Path | None = None
        self._n_files = 0
        self._finalizer = None

    def new(self) -> Path:
        """Return the path of a new file."""
        if self.folder is None:
            try:
                made = tempfile.mkdtemp(prefix="ensemblekit-", dir=self.parent)
            except OSError as error:
                where = self.parent or tempfile.gettempdir()
                raise unreadable(where, error) from None
            self.folder = Path(made)
            self._finalizer = weakref.finalize(self, shutil.rmtree, made, True)
        self._n_files += 1
        return self.folder / f"{self._n_files}.bin"

    def close(self) -> None:
        """Remove the folder; maps that are open stay valid."""
        if self._finalizer is not None:
            self._finalizer()


def spill(block: Block, scratch: Scratch) -> Block:
    """Move a block from memory to a scratch file."""
    shape = (block.n_rows, block.n_outputs)
    path = scratch.new()
    _write(path, [block.read(0, block.n_rows)])
    moved = array_block(
        block.member, block.path, block.columns, _map(path, block.dtype, shape)
    )
    moved.in_memory = False
    return moved


def build(blocks: list[Block], scratch: Scratch, in_memory: int = IN_MEMORY) -> NDArray:
    """Join blocks to P, some rows of all members at a time.

    In memory P is float64; a mapped one is float32 where all blocks are.
    """
    n_rows, n_columns = blocks[0].n_rows, sum(block.n_outputs for block in blocks)
    if n_rows * n_columns * 8 <= in_memory:
        P = np.empty((n_rows, n_columns))
        for start, stop in spans(n_rows, n_columns):
            _fill(P[start:stop], blocks, start, stop)
        return P
    dtype = np.result_type(*{block.dtype for block in blocks})
    path = scratch.new()
    _write(path, _tiles(blocks, dtype, n_rows, n_columns))
    return _map(path, dtype, (n_rows, n_columns))


def _tiles(blocks, dtype, n_rows, n_columns):
    for start, stop in spans(n_rows, n_columns):
        tile = np.empty((stop - start, n_columns), dtype)
        _fill(tile, blocks, start, stop)
        yield tile


def _fill(tile, blocks, start, stop):
    column = 0
    for block in blocks:
        tile[:, column : column + block.n_outputs] = block.read(start, stop)
        column += block.n_outputs


def _write(path, parts):
    # Written, not mapped: a full disk is then an error instead of a dead process.
    try:
        with open(path, "wb") as file:
            for part in parts:
                np.ascontiguousarray(part).tofile(file)
    except FileError:
        raise
    except OSError as error:
        path.unlink(missing_ok=True)
        raise FileError(
            path,
            None,
            f"cannot be written: {error.strerror or error}.",
            "Set TMPDIR to a folder with room for the predictions.",
        ) from None


def _map(path, dtype, shape):
    return np.asarray(np.memmap(path, dtype=dtype, mode="r", shape=shape))
