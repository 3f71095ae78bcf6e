"""Every layout and dialect gives the same library."""

import gzip

import numpy as np
import pandas as pd
import pytest

from ensemblekit import FileError
from ensemblekit.files import Target, find_problems, read_bank, read_target

N, N_TEST = 80, 30
RNG = np.random.default_rng(11)
IDS = RNG.permutation(N) + 500
Y = RNG.normal(size=N)
TEST_IDS = RNG.permutation(N_TEST) + 900
NAMES = ["ab", "cd", "ef"]
P = Y[:, None] + RNG.normal(size=(N, 3))
P_TEST = RNG.normal(size=(N_TEST, 3))


@pytest.fixture
def train(tmp_path):
    frame = pd.DataFrame({"id": IDS, "y": Y, "fold": np.arange(N) % 4, "x": 1.0})
    frame.to_csv(tmp_path / "train.csv", index=False)
    return f"{tmp_path / 'train.csv'}:y"


def path_of(folder, name):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def shuffled(frame, seed=5):
    return frame.sample(frac=1, random_state=seed)


def frame_of(member, test=False, ids=True, name="pred"):
    values = (P_TEST if test else P)[:, member]
    frame = pd.DataFrame({"id": TEST_IDS if test else IDS, name: values})
    return frame if ids else frame[[name]]


def write_1(folder, name, m):
    np.save(path_of(folder, f"oof/{name}_oof.npy"), P[:, m])
    np.save(path_of(folder, f"preds/{name}_test.npy"), P_TEST[:, m])


def write_2(folder, name, m):
    shuffled(frame_of(m)).to_csv(path_of(folder, f"e/{name}_oof.csv"), index=False)
    frame_of(m, True).to_csv(path_of(folder, f"e/{name}_test.csv"), index=False)


def write_3(folder, name, m):
    np.save(path_of(folder, f"nodes/{name}/oof.npy"), P[:, [m]])
    np.save(path_of(folder, f"nodes/{name}/test.npy"), P_TEST[:, [m]])


def write_4(folder, name, m):
    frame = pd.DataFrame({"oof": P[:, m], "y_true": Y})
    frame.to_csv(path_of(folder, f"{name}/oof.csv"))
    frame_of(m, True).to_csv(path_of(folder, f"{name}/submission.csv"), index=False)


def write_5(folder, name, m):
    frame = pd.DataFrame({"x": 1.5, "z": np.arange(N), "oof_pred": P[:, m]})
    frame.to_csv(path_of(folder, f"oof_preds_{name}.csv"))
    frame_of(m, True).to_csv(path_of(folder, f"test_preds_{name}.csv"), index=False)


def write_6(folder, name, m):
    seeds = np.stack([P[:, m] - 1, P[:, m] + 1])[:, :, None]
    np.save(path_of(folder, f"train_oof/{name}_oof.npy"), seeds)
    np.save(path_of(folder, f"test_preds/{name}_test.npy"), P_TEST[:, m])


def write_7(folder, name, m):
    frame = pd.DataFrame(P, columns=[f"{n}_oof" for n in NAMES]).assign(id=IDS)
    shuffled(frame).to_csv(path_of(folder, "oof_predictions.csv"), index=False)
    frame = pd.DataFrame(P_TEST, columns=[f"{n}_test" for n in NAMES])
    frame.to_csv(path_of(folder, "test_predictions.csv"))


def write_8(folder, name, m):
    frame = frame_of(m).assign(y=Y)[["id", "y", "pred"]]
    shuffled(frame, m).to_csv(path_of(folder, f"oof/{name}.csv"), index=False)
    frame_of(m, True, name="y").to_csv(path_of(folder, f"sub/{name}.csv"), index=False)


def write_9(folder, name, m):
    shuffled(frame_of(m)).to_parquet(path_of(folder, f"oof_{name}.parquet"))
    frame_of(m, True).to_parquet(path_of(folder, f"test_{name}.parquet"))


def write_npz(folder, name, m):
    oof, test = {"oof": P[:, m]}, {"test": P_TEST[:, m]}
    np.savez_compressed(path_of(folder, f"oof_{name}.npz"), **oof)
    np.savez(path_of(folder, f"test_{name}.npz"), **test)


def write_npz_ids(folder, name, m):
    order = np.random.default_rng(m).permutation(N)
    arrays = {"ids": IDS[order], "oof": P[order, m]}
    np.savez(path_of(folder, f"oof_{name}.npz"), **arrays)
    np.savez(path_of(folder, f"test_{name}.npz"), ids=TEST_IDS, test=P_TEST[:, m])


def write_dialect(separator=";", decimal=",", end="\r\n", encoding="utf-8-sig"):
    def write(folder, name, m):
        for test, kind in ((False, "oof"), (True, "test")):
            frame = shuffled(frame_of(m, test)) if not test else frame_of(m, test)
            text = frame.to_csv(
                index=False, sep=separator, decimal=decimal, lineterminator=end
            )
            path = path_of(folder, f"{kind}_{name}.csv")
            path.write_bytes(text.encode(encoding))

    return write


def write_gz(folder, name, m):
    text = shuffled(frame_of(m)).to_csv(index=True)
    path_of(folder, f"oof_{name}.csv.gz").write_bytes(gzip.compress(text.encode()))
    frame_of(m, True).to_csv(path_of(folder, f"test_{name}.csv"), index=False)


def write_text_ids(folder, name, m):
    for test, kind in ((False, "oof"), (True, "test")):
        frame = frame_of(m, test)
        frame["id"] = frame["id"].astype(str)
        frame.to_parquet(path_of(folder, f"{kind}_{name}.parquet"), index=False)


def write_one_column(folder, name, m):
    for test, kind in ((False, "oof"), (True, "test")):
        path = path_of(folder, f"{kind}_{name}.csv")
        frame_of(m, test, ids=False).to_csv(path, index=False, decimal=",")


def write_savetxt(folder, name, m):
    np.savetxt(path_of(folder, f"oof_{name}.txt"), P[:, m])
    np.savetxt(path_of(folder, f"test_{name}.txt"), P_TEST[:, m])


def write_index(folder, name, m):
    """A frame with folds concatenated, and its index kept."""
    order = np.argsort(np.arange(N) % 4, kind="stable")
    frame = frame_of(m, ids=False).iloc[order]
    frame.to_csv(path_of(folder, f"oof_{name}.csv"))
    frame_of(m, True, ids=False).to_csv(path_of(folder, f"test_{name}.csv"))


def write_repeats(folder, name, m):
    parts = [
        shuffled(frame_of(m).assign(repeat=r, pred=P[:, m] + r - 1), r)
        for r in range(3)
    ]
    pd.concat(parts).to_csv(path_of(folder, f"oof_{name}.csv"), index=False)
    frame_of(m, True).to_csv(path_of(folder, f"test_{name}.csv"), index=False)


def write_mixed(folder, name, m):
    (write_1, write_2, write_9)[m](folder / "b", name, m)


def write_big_endian(folder, name, m):
    np.save(path_of(folder, f"oof_{name}.npy"), P[:, m].astype(">f8"))
    np.save(path_of(folder, f"test_{name}.npy"), P_TEST[:, m].astype("<f8"))


WRITERS = {
    "1": write_1, "2": write_2, "3": write_3, "4": write_4, "5": write_5,
    "6": write_6, "7": write_7, "8": write_8, "9": write_9, "npz": write_npz,
    "npz-ids": write_npz_ids, "semicolons": write_dialect(), "gz": write_gz,
    "tabs": write_dialect("\t", ".", "\n", "utf-8"),
    "tabs-commas": write_dialect("\t"), "pipes": write_dialect("|", "."),
    "semicolons-points": write_dialect(";", ".", "\n", "utf-8"),
    "commas-crlf": write_dialect(",", "."), "text-ids": write_text_ids,
    "one-column": write_one_column, "savetxt": write_savetxt, "index": write_index,
    "repeats": write_repeats, "mixed": write_mixed, "big-endian": write_big_endian,
}  # fmt: skip


@pytest.mark.parametrize("in_memory", [2**30, 0], ids=["memory", "mapped"])
@pytest.mark.parametrize("layout", WRITERS)
def test_every_layout_gives_the_same_library(layout, in_memory, tmp_path, train):
    folder = tmp_path / "bank"
    for m, name in enumerate(NAMES):
        WRITERS[layout](folder, name, m)
    with read_bank(folder, train, in_memory=in_memory) as bank:
        library = bank.library.select(NAMES)
        np.testing.assert_allclose(library.P, P, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(library.P_test, P_TEST, rtol=1e-12)
        assert library.y.tolist() == Y.tolist()
        assert bank.ids.tolist() == IDS.tolist()
        assert bank.library.folds.tolist() == (np.arange(N) % 4).tolist()
        assert [files.name for files in bank.files] == bank.library.names
        if bank.test_ids is not None:
            assert [int(i) for i in bank.test_ids] == TEST_IDS.tolist()
    errors = [f for f in find_problems(folder, train) if f.level == "error"]
    assert errors == []


def test_scratch_files_go_with_the_bank(tmp_path, train, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    for m, name in enumerate(NAMES):
        write_2(tmp_path / "bank", name, m)
    bank = read_bank(tmp_path / "bank", train, in_memory=0)
    assert len(list((tmp_path / "scratch").iterdir())) == 1
    del bank
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_full_disk_is_one_error(tmp_path, train, monkeypatch):
    write_1(tmp_path / "bank", "ab", 0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(FileError, match=r"cannot be read|cannot be written"):
        read_bank(tmp_path / "bank", train, in_memory=0)


def test_sample_submission_sets_the_order_of_the_test_rows(tmp_path, train):
    for m, name in enumerate(NAMES):
        write_2(tmp_path / "bank", name, m)
    order = np.random.default_rng(0).permutation(N_TEST)
    sample = pd.DataFrame({"id": TEST_IDS[order], "y": 0.0})
    sample.to_csv(tmp_path / "sample.csv", index=False)
    bank = read_bank(tmp_path / "bank", train, sample=tmp_path / "sample.csv")
    np.testing.assert_allclose(bank.library.P_test, P_TEST[order])
    assert bank.test_ids.tolist() == TEST_IDS[order].tolist()


def test_test_files_of_other_ids_are_refused(tmp_path, train):
    for m, name in enumerate(NAMES):
        write_2(tmp_path, name, m)
    frame = frame_of(1, True)
    frame.loc[3, "id"] = 1
    frame.to_csv(tmp_path / "e" / "cd_test.csv", index=False)
    with pytest.raises(FileError, match=r"cd_test.csv: lacks 1 of the 30 ids"):
        read_bank(tmp_path / "e", train)


def test_the_first_test_file_with_ids_names_the_rows(tmp_path, train):
    write_1(tmp_path / "bank", "ab", 0)
    for m in (1, 2):
        write_2(tmp_path / "bank", NAMES[m], m)
    later = shuffled(frame_of(2, True))
    later.to_csv(tmp_path / "bank" / "e" / "ef_test.csv", index=False)
    bank = read_bank(tmp_path / "bank", train)
    assert bank.library.names == NAMES
    np.testing.assert_allclose(bank.library.P_test, P_TEST)
    assert bank.test_ids.tolist() == TEST_IDS.tolist()


def test_numbers_taken_for_labels_are_explained(tmp_path):
    labels = pd.DataFrame({"id": IDS, "y": np.arange(N) % 5})
    labels.to_csv(tmp_path / "train.csv", index=False)
    write_1(tmp_path / "bank", "ab", 0)
    spec = f"{tmp_path / 'train.csv'}:y"
    with pytest.raises(FileError, match="set the task to regression"):
        read_bank(tmp_path / "bank", spec)
    bank = read_bank(tmp_path / "bank", read_target(spec, task="regression"))
    assert bank.library.task == "regression"


def test_a_member_without_test_file_is_named(tmp_path, train):
    for m, name in enumerate(NAMES):
        write_1(tmp_path / "bank", name, m)
    (tmp_path / "bank" / "preds" / "cd_test.npy").unlink()
    with pytest.raises(FileError, match=r"cd_oof.npy: has no file of the test rows"):
        read_bank(tmp_path / "bank", train)


@pytest.mark.parametrize("form", ["file", "column", "array", "member"])
def test_folds_wherever_they_stand(form, tmp_path, train):
    folds = RNG.integers(0, 3, N)
    write_2(tmp_path / "bank", "ab", 0)
    options = {"array": folds, "file": f"{tmp_path / 'f.csv'}:kfold", "column": "g"}
    frame = pd.DataFrame({"id": IDS, "kfold": folds})
    shuffled(frame).to_csv(tmp_path / "f.csv", index=False)
    whole = pd.DataFrame({"id": IDS, "y": Y, "g": folds})
    if form == "member":
        shuffled(frame_of(0).assign(fold=folds)).to_csv(
            tmp_path / "bank" / "e" / "ab_oof.csv", index=False
        )
    whole.to_csv(tmp_path / "train.csv", index=False)
    bank = read_bank(tmp_path / "bank", train, folds=options.get(form))
    assert bank.library.folds.tolist() == folds.tolist()


CLASSES = ["ant", "bee", "cat"]
LABELS = RNG.choice(CLASSES, N)
SHARES = RNG.dirichlet(np.ones(3), N)


@pytest.mark.parametrize("form", ["named", "proba", "unnamed", "npy", "last", "wide"])
def test_probabilities_of_several_classes(form, tmp_path):
    frame = pd.DataFrame({"id": IDS, "label": LABELS})
    frame.to_csv(tmp_path / "train.csv", index=False)
    columns = {"named": CLASSES, "proba": [f"proba_{c}" for c in CLASSES]}
    shares = pd.DataFrame(SHARES, columns=columns.get(form, ["u", "v", "w"]))
    (tmp_path / "oof").mkdir()
    for name in "pq":
        if form == "npy":
            np.save(tmp_path / "oof" / f"{name}.npy", SHARES)
            continue
        given = shares[shares.columns[::-1]] if form in columns else shares
        if form == "last":
            given = shares.assign(extra=7.0)[["extra", "u", "v", "w"]]
        if form == "wide":
            shares.columns = [f"{name}_{c}" for c in CLASSES]
            given = shares[shares.columns[::-1]]
        given.assign(id=IDS).to_csv(tmp_path / "oof" / f"{name}.csv", index=False)
        if form == "last":
            given.to_csv(tmp_path / "oof" / f"{name}.csv")
    bank = read_bank(tmp_path / "oof", f"{tmp_path / 'train.csv'}:label")
    np.testing.assert_allclose(bank.library.P, np.hstack([SHARES, SHARES]))
    assert bank.class_order == CLASSES
    assert bank.library.names == ["p", "q"]


@pytest.mark.parametrize("form", ["one", "both", "swapped", "npy", "unnamed"])
def test_probabilities_of_two_classes(form, tmp_path):
    p = RNG.random(N)
    labels = np.where(RNG.random(N) < p, "yes", "no")
    pd.DataFrame({"id": IDS, "label": labels}).to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "oof").mkdir()
    frames = {
        "one": {"pred": p},
        "both": {"no": 1 - p, "yes": p},
        "swapped": {"yes": p, "no": 1 - p},
        "unnamed": {"0": 1 - p, "1": p},
    }
    if form == "npy":
        np.save(tmp_path / "oof" / "a.npy", np.stack([1 - p, p], 1))
    else:
        frame = pd.DataFrame(frames[form])
        frame.to_csv(tmp_path / "oof" / "a.csv", index=False)
    bank = read_bank(tmp_path / "oof", f"{tmp_path / 't.csv'}:label")
    np.testing.assert_allclose(bank.library.P[:, 0], p)
    assert bank.class_order == ["no", "yes"]


THIRDS = np.arange(40) / 3


def test_targets(tmp_path):
    path = tmp_path / "t.csv"
    frame = pd.DataFrame(
        {
            "ID": ["b", "a"] * 20,
            "id2": range(40),
            "a:b": [0, 1] * 20,
            "v": np.arange(40) / 3,
        }
    )
    frame.to_csv(path, index=False)
    target = read_target(f"{path}:a:b", id="id2")
    assert isinstance(target, Target)
    assert (target.task, target.classes.tolist()) == ("classification", [0, 1])
    assert read_target(f"{path}:a:b", "id2", task="regression").y.dtype == np.float64
    assert read_target(f"{path}:v", id="id2").task == "regression"
    with pytest.raises(
        FileError, match="line 4: the id 'b' in column 'ID' stands in line 2"
    ):
        read_target(f"{path}:v", id="ID")
    with pytest.raises(
        FileError, match=r"which is the target is not said.*t.csv:COLUMN"
    ):
        read_target(path)
    with pytest.raises(FileError, match="has no column 'w'"):
        read_target(f"{path}:w")
    np.save(tmp_path / "y.npy", np.arange(5.5))
    assert read_target(tmp_path / "y.npy").task == "regression"


def test_repeats_without_ids_are_one_repeat(tmp_path):
    frame = pd.DataFrame(
        {"repeat": np.repeat([0, 1], N), "fold": np.tile(np.arange(N) % 5, 2),
         "target": np.tile(Y, 2), "ab": np.tile(P[:, 0], 2), "cd": np.tile(P[:, 1], 2)}
    )  # fmt: skip
    path = tmp_path / "oof.parquet"
    frame.to_parquet(path)
    bank = read_bank(path, f"{path}:target")
    assert bank.library.P.tolist() == P[:, :2].tolist()
    assert any("only repeat 0 is read" in note for note in bank.notes)
    second = read_bank(path, read_target(f"{path}:target", repeat=1))
    assert second.library.n_samples == N


def test_repeats_with_ids_are_averaged(tmp_path):
    whole = pd.concat(
        frame_of(0).assign(repeat=r, fold=(np.arange(N) + r) % 4, y=Y) for r in range(3)
    )
    whole["pred"] += whole["repeat"] - 1.0
    path = tmp_path / "a_oof.csv"
    shuffled(whole).to_csv(path, index=False)
    target = read_target(f"{path}:y")
    order = np.argsort(target.ids)
    assert target.ids[order].tolist() == sorted(IDS.tolist())
    bank = read_bank(path, target)
    np.testing.assert_allclose(bank.library.P[order, 0], P[np.argsort(IDS), 0])
    assert any("mean of 3 repeats by 'id'" in note for note in bank.notes)
    folds = (np.arange(N) % 4)[np.argsort(IDS)]
    assert bank.library.folds[order].tolist() == folds.tolist()
    whole.iloc[5, whole.columns.get_loc("id")] = IDS[4]
    whole.to_csv(path, index=False)
    with pytest.raises(FileError, match=r"line 7: the id .* stands in line 6 too"):
        read_target(f"{path}:y")


def test_notes_say_what_was_decided(tmp_path, train):
    write_dialect()(tmp_path / "bank", "ab", 0)
    write_6(tmp_path / "bank", "cd", 1)
    (tmp_path / "bank" / "test_preds" / "cd_test.npy").rename(
        tmp_path / "bank" / "cd_test.npy"
    )
    notes = "\n".join(read_bank(tmp_path / "bank", train).notes)
    for words in (
        "decimal commas",
        "mean of 2 seeds",
        "reordered by 'id'",
        "order of the file assumed",
        "holds the folds",
        "holds values",
    ):
        assert words in notes


def test_wide_tables_with_text_give_their_target(tmp_path):
    texts = [f'said "{i}",\nand; went 0,5' for i in range(N)]
    frame = pd.DataFrame({"id": IDS, "text": texts, "y": Y})
    wide = pd.DataFrame(np.full((N, 300), 1.5), columns=[f"x{i}" for i in range(300)])
    frame = pd.concat([frame, wide], axis=1)
    frame.to_csv(tmp_path / "train.csv", index=False)
    lists = frame.assign(lists=[[1, 2]] * N)
    lists.to_parquet(tmp_path / "train.parquet")
    for name in ("train.csv", "train.parquet"):
        target = read_target(f"{tmp_path / name}:y")
        assert target.y.tolist() == Y.tolist()
        assert target.ids.tolist() == IDS.tolist()
    frame.loc[5, "y"] = np.nan
    frame.to_csv(tmp_path / "train.csv", index=False)
    with pytest.raises(FileError, match="row 5: the target in column 'y' is missing"):
        read_target(f"{tmp_path / 'train.csv'}:y")


def test_lines_of_too_many_cells_are_refused_in_wide_tables_too(tmp_path):
    lines = ["id,text,y", *(f"{i},a,{i / 7}" for i in range(N))]
    lines[30] = "30,b, or c,9.5"
    (tmp_path / "train.csv").write_text("\n".join(lines))
    with pytest.raises(FileError, match="line 31: has 4 cells; expected 3"):
        read_target(f"{tmp_path / 'train.csv'}:y")


def test_long_tables_are_parsed_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr("ensemblekit.files._csv._CELLS", 1)
    lines = ["id,y", *(f"{i},{i / 8}" for i in range(2500))]
    lines[2300] = "2299,"
    (tmp_path / "train.csv").write_text("\n".join(lines))
    with pytest.raises(FileError, match="line 2301: the target"):
        read_target(f"{tmp_path / 'train.csv'}:y")
    lines[2300] = "2299,text"
    (tmp_path / "train.csv").write_text("\n".join(lines))
    with pytest.raises(FileError, match=r"line 2301: .*'text', no number"):
        read_target(f"{tmp_path / 'train.csv'}:y", task="regression")
    lines[2300] = "2299,7"
    (tmp_path / "train.csv").write_text("\n".join(lines))
    target = read_target(f"{tmp_path / 'train.csv'}:y")
    assert target.y[[0, 2298, 2299, 2499]].tolist() == [0.0, 287.25, 7.0, 312.375]


def test_decimals_and_numbers_as_text(tmp_path, train):
    from decimal import Decimal

    frame = frame_of(0)
    frame["pred"] = [Decimal(f"{value:.4f}") for value in P[:, 0]]
    (tmp_path / "oof").mkdir()
    frame.to_parquet(tmp_path / "oof" / "a.parquet")
    frame["pred"] = [f"{value:.4f}" for value in P[:, 0]]
    frame.to_parquet(tmp_path / "oof" / "b.parquet")
    bank = read_bank(tmp_path / "oof", train)
    np.testing.assert_allclose(bank.library.P, P[:, [0, 0]], atol=1e-4)


@pytest.mark.parametrize("ids", [False, True])
def test_one_npz_of_each_member_holds_both_kinds_of_rows(ids, train, tmp_path):
    rows, test_rows = np.arange(N), np.arange(N_TEST)
    for m, name in enumerate(NAMES):
        arrays = {}
        if ids:
            rows, test_rows = RNG.permutation(N), RNG.permutation(N_TEST)
            arrays = {"id": IDS[rows], "test_id": TEST_IDS[test_rows]}
        arrays |= {"oof": P[rows, m], "test": P_TEST[test_rows, m]}
        np.savez(path_of(tmp_path, f"z/{name}.npz"), **arrays)
    bank = read_bank(tmp_path / "z", train)
    np.testing.assert_array_equal(bank.library.P, P)
    if ids:
        order = np.argsort(bank.test_ids)
        np.testing.assert_array_equal(bank.test_ids[order], np.sort(TEST_IDS))
        expected = P_TEST[np.argsort(TEST_IDS)]
        np.testing.assert_array_equal(bank.library.P_test[order], expected)
    else:
        np.testing.assert_array_equal(bank.library.P_test, P_TEST)
    assert [files.test for files in bank.files] == [files.oof for files in bank.files]


def test_given_test_files_come_before_those_in_an_npz(train, tmp_path):
    np.savez(path_of(tmp_path, "z/ab.npz"), oof=P[:, 0], test=P_TEST[:, 0])
    np.save(path_of(tmp_path, "preds/ab.npy"), P_TEST[:, 1])
    bank = read_bank(tmp_path / "z", train, test=tmp_path / "preds")
    np.testing.assert_array_equal(bank.library.P_test, P_TEST[:, [1]])


def test_an_npz_of_both_beside_one_without_test_rows_is_refused(train, tmp_path):
    np.savez(path_of(tmp_path, "z/ab.npz"), oof=P[:, 0], test=P_TEST[:, 0])
    np.savez(path_of(tmp_path, "z/cd.npz"), oof=P[:, 1])
    with pytest.raises(FileError, match="has no file of the test rows"):
        read_bank(tmp_path / "z", train)


def test_a_member_without_its_test_file_is_counted(folder_of_three):
    with pytest.raises(FileError, match=r"rows; 1 of 3 members lacks one \(\['c'\]\)"):
        read_bank(*folder_of_three)


@pytest.fixture
def folder_of_three(tmp_path, train):
    (tmp_path / "oof").mkdir()
    for k, name in enumerate("abc"):
        np.save(tmp_path / "oof" / f"{name}_oof.npy", P[:, k])
        if name != "c":
            np.save(tmp_path / "oof" / f"{name}_test.npy", P_TEST[:, k])
    return tmp_path / "oof", train
