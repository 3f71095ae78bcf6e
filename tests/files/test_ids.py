"""Ids are written as they stand in the files."""

import numpy as np
import pandas as pd
import pytest

from ensemblekit import FileError
from ensemblekit.files import read_bank, read_target
from ensemblekit.files._ids import as_same_kind

N, N_TEST = 60, 24
RNG = np.random.default_rng(8)
Y = RNG.normal(size=N)
P = Y + RNG.normal(size=N)
Q = RNG.normal(size=N_TEST)


def lines(path, header, ids, values):
    rows = [f"{i},{float(v)!r}" for i, v in zip(ids, values, strict=True)]
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")


def write(folder, ids, test_ids, own=None, own_test=None, sample=None, name="id"):
    """Write shuffled predictions of rows; `own`: ids as the members write them."""
    order, other = RNG.permutation(N), RNG.permutation(N_TEST)
    lines(folder / "train.csv", f"{name},y", ids, Y)
    own, own_test = own or ids, own_test or test_ids
    lines(folder / "oof/a.csv", f"{name},p", [own[i] for i in order], P[order])
    lines(folder / "preds/a.csv", f"{name},p", [own_test[i] for i in other], Q[other])
    lines(folder / "sample.csv", f"{name},y", sample or test_ids, np.zeros(N_TEST))


def read(folder, **options):
    return read_bank(
        folder / "oof", f"{folder / 'train.csv'}:y", test=folder / "preds",
        sample=folder / "sample.csv", **options,
    )  # fmt: skip


IDS = {
    "zeros": lambda n: [f"{i:05d}" for i in range(n)],
    "some-zeros": lambda n: ["007", *(str(i) for i in range(1000, 999 + n))],
    "uint64": lambda n: [str(2**63 + 5 + i) for i in range(n)],
    "big": lambda n: [str(2**60 + 1 + i) for i in range(n)],
    "huge": lambda n: [str(10**25 + i) for i in range(n)],
    "floats": lambda n: [f"{i}.5" for i in range(n)],
    "round-floats": lambda n: [f"{i}.0" for i in range(n)],
    "tenths": lambda n: [f"{i}.50" for i in range(n)],
    "exponents": lambda n: ["30e2", "3e3", *(f"{i}e3" for i in range(40, 38 + n))],
    "words": lambda n: ["NA", "None", *(f"x{i}" for i in range(n - 2))],
    "bools": lambda n: ["True", "False", *(f"x{i}" for i in range(n - 2))],
    "signs": lambda n: [f"+{i}" for i in range(n)],
    "negative": lambda n: [f"-{i + 1}" for i in range(n)],
    "formulas": lambda n: [f"=cmd{i}" for i in range(n)],
    "mixed": lambda n: ["00A", "00B", *(f"{i:03d}" for i in range(n - 2))],
}  # fmt: skip


@pytest.mark.parametrize("name", ["id", "code"])
@pytest.mark.parametrize("form", IDS)
def test_ids_stay_as_they_are_written(form, name, tmp_path):
    ids, test_ids = IDS[form](N), IDS[form](N_TEST)
    write(tmp_path, ids, test_ids, name=name)
    bank = read(tmp_path, id=None if name == "id" else name)
    assert [str(i) for i in bank.ids] == ids
    assert [str(i) for i in bank.test_ids] == test_ids
    np.testing.assert_allclose(bank.library.P[:, 0], P)
    np.testing.assert_allclose(bank.library.P_test[:, 0], Q)


def test_whole_numbers_stay_numbers(tmp_path):
    write(tmp_path, list(range(N)), list(range(90, 90 + N_TEST)))
    bank = read(tmp_path)
    assert bank.ids.dtype == bank.test_ids.dtype == np.int64


@pytest.mark.parametrize(
    "form", ["{:d}", "{:.1f}", "{:.2f}", "{:03d}", "+{:d}", "{:d}e0"]
)
def test_numbers_written_otherwise_are_the_same_ids(form, tmp_path):
    ids = [f"{i:05d}" for i in range(N)]
    test_ids = [f"{i:05d}" for i in range(500, 500 + N_TEST)]
    own = [form.format(int(i)) for i in ids]
    own_test = [form.format(int(i)) for i in test_ids]
    write(tmp_path, ids, test_ids, own, own_test)
    bank = read(tmp_path)
    assert bank.ids.tolist() == ids
    assert bank.test_ids.tolist() == test_ids  # as the sample has them
    np.testing.assert_allclose(bank.library.P[:, 0], P)
    np.testing.assert_allclose(bank.library.P_test[:, 0], Q)


def test_zeros_and_a_float_index_of_parquet(tmp_path):
    write(tmp_path, [f"{i:03d}" for i in range(N)], list(range(N_TEST)))
    order = RNG.permutation(N)
    frame = pd.DataFrame({"id": np.arange(N)[order].astype(float), "p": P[order]})
    frame.to_parquet(tmp_path / "oof" / "b.parquet")
    frame["id"] = frame["id"].astype(np.uint64)
    frame.to_parquet(tmp_path / "oof" / "c.parquet")
    bank = read_bank(tmp_path / "oof", f"{tmp_path / 'train.csv'}:y")
    np.testing.assert_allclose(bank.library.P, np.column_stack([P, P, P]))


def test_large_unsigned_ids_of_parquet(tmp_path):
    ids = np.arange(N, dtype=np.uint64) + np.uint64(2**63 + 5)
    order = RNG.permutation(N)
    (tmp_path / "oof").mkdir()
    frame = pd.DataFrame({"id": ids, "y": Y})
    frame.to_parquet(tmp_path / "train.parquet")
    frame = pd.DataFrame({"id": ids, "p": P}).iloc[order]
    frame.to_parquet(tmp_path / "oof" / "a.parquet")
    frame.to_csv(tmp_path / "oof" / "b.csv", index=False)
    bank = read_bank(tmp_path / "oof", f"{tmp_path / 'train.parquet'}:y")
    assert [int(i) for i in bank.ids] == ids.tolist()
    np.testing.assert_allclose(bank.library.P, np.column_stack([P, P]))


def test_numbers_alike_in_text_only_are_two_ids(tmp_path):
    """1 and 01 are two ids where both stand in one file."""
    ids = ["1", "01", *(str(i) for i in range(2, N))]
    write(tmp_path, ids, list(range(N_TEST)))
    assert read(tmp_path).ids.tolist() == ids
    lines(tmp_path / "oof/a.csv", "id,p", range(N), P)
    with pytest.raises(FileError, match=r"lacks 1 of the 60 ids .* '01'"):
        read(tmp_path)


@pytest.mark.parametrize("bad", ["", "nan", "NA", "null"])
@pytest.mark.parametrize("form", ["zeros", "floats", "negative"])
def test_no_value_among_numbers_is_missing(bad, form, tmp_path):
    ids = IDS[form](N)
    lines(tmp_path / "train.csv", "code,y", [*ids[:-1], bad], Y)
    with pytest.raises(FileError, match="line 61: the id in column 'code' is empty"):
        read_target(f"{tmp_path / 'train.csv'}:y", id="code")


def test_an_empty_id_among_texts_is_missing(tmp_path):
    lines(tmp_path / "train.csv", "id,y", [*IDS["words"](N)[:-1], ""], Y)
    with pytest.raises(FileError, match="line 61: the id in column 'id' is empty"):
        read_target(f"{tmp_path / 'train.csv'}:y")


def test_ids_of_wide_and_long_files(tmp_path, monkeypatch):
    monkeypatch.setattr("ensemblekit.files._csv._CELLS", 1)
    ids = [*(f"{i}" for i in range(1000, 2200)), *(f"00{i}" for i in range(300))]
    rows = [f"{i},{k / 7},5" for k, i in enumerate(ids)]
    (tmp_path / "t.csv").write_text("\n".join(["id,y,x", *rows]) + "\n\n")
    assert read_target(f"{tmp_path / 't.csv'}:y").ids.tolist() == ids


def test_ids_after_the_first_part_are_seen(tmp_path, monkeypatch):
    monkeypatch.setattr("ensemblekit.files._id_texts._CHUNK", 64)
    for shift in range(8):  # the zeros lie on either side of a part's end
        first = "9" * (shift + 1)
        ids = [first, *(str(i) for i in range(1000, 1030)), "0077"]
        lines(tmp_path / "t.csv", "id,y", ids, np.arange(32) / 7)
        assert read_target(f"{tmp_path / 't.csv'}:y").ids.tolist() == ids


def test_text_ids_in_npz(tmp_path):
    ids = np.array([f"x{i}" for i in range(N)])
    lines(tmp_path / "train.csv", "id,y", ids, Y)
    (tmp_path / "oof").mkdir()
    for k, key in enumerate(["id", "ids", "ID"]):
        order = RNG.permutation(N)
        own = ids[order].astype(">U9" if k else "<U3")
        np.savez(tmp_path / "oof" / f"a{k}.npz", **{key: own, "oof": P[order]})
    bank = read_bank(tmp_path / "oof", f"{tmp_path / 'train.csv'}:y")
    np.testing.assert_allclose(bank.library.P, np.column_stack([P, P, P]))
    np.savez(tmp_path / "t.npz", id=ids, y=Y)
    assert read_target(f"{tmp_path / 't.npz'}:y").ids.tolist() == ids.tolist()


BROKEN = np.array(["x", "y"]).view(np.uint32)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"oof": np.array(["a", "b"])}, "holds <U1, no numbers"),
        ({"id": np.array(["a", "b"])}, "no numbers"),
        ({"id": np.array([["a", "b"]]), "oof": P[:2]}, r"shape \(1, 2\)"),
        ({"id": np.array(["a" * 2000, "b"]), "oof": P[:2]}, "no numbers"),
        ({"id": np.array([b"a", b"b"]), "oof": P[:2]}, "no numbers"),
        ({"id": (BROKEN + 2**31).view("<U1"), "oof": P[:2]}, "no text"),
        ({"id": (BROKEN * 0 + 0xD800).view("<U1"), "oof": P[:2]}, "no text"),
        ({"id": np.array(["a", ""]), "oof": P[:2]}, "is empty"),
        ({"id": np.array(["a", "a"]), "oof": P[:2]}, "stands in row 0 too"),
        ({"id": np.array(["a", "b"]), "key": np.array(["a", "b"])}, "no number"),
        ({"id": np.array(["a", "b", "c"]), "oof": P[:2]}, "arrays of"),
    ],
)  # fmt: skip
def test_other_text_in_npz_is_refused(arrays, message, tmp_path):
    lines(tmp_path / "train.csv", "id,y", ["a", "b"], Y[:2])
    (tmp_path / "oof").mkdir()
    np.savez(tmp_path / "oof" / "a.npz", **arrays)
    with pytest.raises(FileError, match=message):
        read_bank(tmp_path / "oof", f"{tmp_path / 'train.csv'}:y")


@pytest.mark.parametrize("start", ["sep=;", '"sep=;"', "SEP=;"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_line_that_names_the_separator(start, end, tmp_path):
    ids = [f"{i:02d}" for i in range(N)]
    rows = [
        start,
        "id;y",
        *(f"{i};{v!r}" for i, v in zip(ids, Y.tolist(), strict=True)),
    ]
    path = tmp_path / "t.csv"
    path.write_bytes(("\ufeff" + end.join(rows) + end).encode())
    target = read_target(f"{path}:y")
    assert (target.ids.tolist(), target.y.tolist()) == (ids, Y.tolist())
    assert any("separated by ';'" in note for note in target.notes)
    rows[9] = "07;text"
    path.write_bytes(end.join(rows).encode())
    with pytest.raises(FileError, match=r"line 10: .*'text', no number"):
        read_target(f"{path}:y", task="regression")
    path.write_bytes(end.join(["sep=:", *rows[1:]]).encode())
    with pytest.raises(FileError, match=r"line 1: .*':'"):
        read_target(f"{path}:y")


def test_a_separator_line_without_header(tmp_path):
    (tmp_path / "t.csv").write_text("sep=\t\n0,5\n1,5\n2,75\n")
    assert read_target(tmp_path / "t.csv").y.tolist() == [0.5, 1.5, 2.75]


@pytest.mark.parametrize("sign", list("=+-@"))
def test_ids_that_were_escaped_are_those_without_the_sign(sign, tmp_path):
    ids = [f"{sign}x{i}" for i in range(30)]
    y = np.arange(30) / 7
    pd.DataFrame({"id": ids, "y": y}).to_csv(tmp_path / "train.csv", index=False)
    written = pd.DataFrame({"id": [f"'{text}" for text in ids], "pred": y + 1})
    (tmp_path / "oof").mkdir()
    written[::-1].to_csv(tmp_path / "oof" / "a_oof.csv", index=False)
    new = pd.DataFrame({"id": ["'" + sign + "a", "'" + sign + "b"], "pred": [1.0, 2.0]})
    new.to_csv(tmp_path / "oof" / "a_test.csv", index=False)
    pd.DataFrame({"id": ids, "pred": y}).to_csv(
        tmp_path / "oof" / "b_oof.csv", index=False
    )
    plain = pd.DataFrame({"id": [sign + "b", sign + "a"], "pred": [4.0, 3.0]})
    plain.to_csv(tmp_path / "oof" / "b_test.csv", index=False)
    bank = read_bank(tmp_path / "oof", f"{tmp_path / 'train.csv'}:y")
    np.testing.assert_allclose(bank.library.P, np.column_stack([y + 1, y]))
    np.testing.assert_allclose(bank.library.P_test, [[1.0, 3.0], [2.0, 4.0]])
    assert bank.ids.tolist() == ids


def test_a_sign_that_is_part_of_an_id_stays():
    ids, expected = np.array(["'-a", "-a"]), np.array(["-a", "'-a"])
    ours, theirs = as_same_kind(ids, expected)
    assert (ours.tolist(), theirs.tolist()) == (ids.tolist(), expected.tolist())
    ours, _ = as_same_kind(np.array(["'a", "'-b"]), np.array(["a", "'-b"]))
    assert ours.tolist() == ["'a", "'-b"]
