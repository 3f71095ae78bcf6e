"""Files are found and paired by name alone; two readings are refused."""

import time

import numpy as np
import pytest

from ensemblekit import FileError
from ensemblekit.files import find_files
from ensemblekit.files._names import STRIPPED, role_of, strip_roles
from ensemblekit.files._pairing import pair_alike
from ensemblekit.files.layouts import scan_files

MEMBERS = ["lgbm", "xgb_v2"]
LAYOUTS = {
    1: ("oof/{}_oof.npy", "preds/{}_test.npy"),
    2: ("ensemble/{}_oof.csv", "ensemble/{}_test.csv"),
    3: ("nodes/{}/oof.npy", "nodes/{}/test.npy"),
    4: ("comp_{}/oof.csv", "comp_{}/submission.csv"),
    5: ("oof_preds_{}_v1.csv", "test_preds_{}_v1.csv"),
    6: ("train_oof/{}_oof.npy", "test_preds/{}_test.npy"),
    8: ("oof/{}.csv", "sub/{}.csv"),
    9: ("oof_{}.parquet", "test_{}.parquet"),
    10: ("oof/{}.csv.gz", "preds/{}.csv.gz"),
    11: ("{}/oof_train.npy", "{}/oof_test.npy"),
    12: ("oof-{}.npz", "sub-{}.npz"),
    13: ("valid_preds_{}.npy", "test_preds_{}.npy"),
    14: ("val_preds/{}.npy", "test_preds/{}.npy"),
    15: ("models/{}/val.npy", "models/{}/preds.npy"),
    16: ("validation_preds_{}.npy", "test_preds_{}.npy"),
    17: ("holdout_{}.npy", "preds_{}.npy"),
    18: ("oofs/{}.npy", "subs/{}.npy"),
    19: ("{}_oof.npy", "tests/{}.npy"),
    20: ("oof_train/{}.npy", "oof_test/{}.npy"),
    21: ("out_of_fold_{}.npy", "test_{}.npy"),
    22: ("{}-out-of-fold.csv", "{}.preds.csv"),
    23: ("held_out/{}.csv", "preds/{}.csv"),
}


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"1\n")
    return path


@pytest.mark.parametrize("number", LAYOUTS)
def test_pairs_each_layout(number, tmp_path):
    oof, test = LAYOUTS[number]
    for member in MEMBERS:
        touch(tmp_path / oof.format(member))
        touch(tmp_path / test.format(member))
    found = find_files(tmp_path)
    names = [member + {5: "_v1"}.get(number, "") for member in MEMBERS]
    prefix = "comp_" if number == 4 else ""
    assert [files.name for files in found] == [prefix + name for name in names]
    for member, files in zip(MEMBERS, found, strict=True):
        assert files.oof == tmp_path / oof.format(member)
        assert files.test == tmp_path / test.format(member)
        assert files.layout.count("<m>") == 2


def test_one_file_of_several_members(tmp_path):
    oof = touch(tmp_path / "outputs" / "oof_predictions.csv")
    test = touch(tmp_path / "outputs" / "test_predictions.csv")
    (files,) = find_files(tmp_path)
    assert (files.oof, files.test) == (oof, test)


def test_globs_and_lists_and_single_files(tmp_path):
    for member in MEMBERS:
        touch(tmp_path / "oof" / f"{member}.npy")
        touch(tmp_path / "other" / f"{member}.npy")
    by_glob = find_files(f"{tmp_path}/oof/*", f"{tmp_path}/other/*")
    assert [files.name for files in by_glob] == MEMBERS
    assert all(files.test.parent.name == "other" for files in by_glob)
    paths = [tmp_path / "oof" / f"{member}.npy" for member in MEMBERS]
    assert [files.oof for files in find_files(paths)] == paths
    (single,) = find_files(paths[0], tmp_path / "other" / "xgb_v2.npy")
    assert single.test.name == "xgb_v2.npy"  # two files only: nothing to choose


def test_lists_keep_the_folders_that_tell_members_apart(tmp_path, monkeypatch):
    paths = [touch(tmp_path / "nodes" / member / "oof.npy") for member in MEMBERS]
    assert [files.name for files in find_files(paths)] == MEMBERS
    folders = [path.parent for path in paths]
    assert [files.oof for files in find_files(folders)] == paths
    monkeypatch.chdir(tmp_path)
    mixed = [paths[0], "nodes/xgb_v2/oof.npy"]
    assert [files.name for files in find_files(mixed)] == MEMBERS
    relative = ["nodes/lgbm/oof.npy", "nodes/xgb_v2/oof.npy"]
    assert [files.name for files in find_files(relative)] == MEMBERS
    assert [files.name for files in find_files("nodes/*/oof.npy")] == MEMBERS


def test_a_listed_file_may_be_a_link(tmp_path):
    path = touch(tmp_path / "store" / "a.npy")
    link = tmp_path / "oof" / "a_oof.npy"
    link.parent.mkdir()
    link.symlink_to(path)
    assert find_files([link])[0].oof == link
    with pytest.raises(FileError, match="is a link out of the given folder"):
        find_files(tmp_path / "oof")


def test_a_folder_of_test_words_alone_is_what_was_asked_for(tmp_path):
    touch(tmp_path / "submission_a.csv")
    touch(tmp_path / "submission_b.csv")
    assert [files.name for files in find_files(tmp_path)] == ["a", "b"]
    assert all(files.test is None for files in find_files(tmp_path))


def test_a_folder_named_test_holds_no_test_files_by_itself(tmp_path):
    for name in ("test_runs/a_oof.npy", "b_oof.npy"):
        touch(tmp_path / name)
    assert len(find_files(tmp_path)) == 2


def test_test_files_are_no_members_beside_others(tmp_path):
    for name in ("holdings_preds_a", "test_preds_a", "test_preds_b"):
        touch(tmp_path / f"{name}.npy")
    with pytest.raises(FileError, match=r"test_preds_a.*no name says 'oof'.*holdings"):
        find_files(tmp_path)
    touch(tmp_path / "new" / "a.npy")
    (files,) = find_files(f"{tmp_path}/*.npy", tmp_path / "new")
    assert files.oof == tmp_path / "holdings_preds_a.npy"


@pytest.mark.parametrize(
    "names",
    [
        ("lgbm_oof.npy", "oof_lgbm.npy"),
        ("lgbm_oof.npy", "lgbm_oof.csv"),
        ("a/lgbm_oof.npy", "oof/a/lgbm.npy"),
        ("lgbm_oof.npy", "xgb_oof.npy", "test/lgbm.npy", "lgbm_sub.npy"),
        ("lgbm_oof.npy", "lgbm.npy"),
    ],
)
def test_two_readings_are_refused_and_both_are_shown(names, tmp_path):
    for name in names:
        touch(tmp_path / name)
    with pytest.raises(FileError, match=r"has two readings: .*lgbm"):
        find_files(tmp_path)


def test_fewer_words_are_taken_off_where_names_would_collide(tmp_path):
    for name in ("lgbm_proba_oof.npy", "lgbm_oof.npy"):
        touch(tmp_path / name)
    assert [f.name for f in find_files(tmp_path)] == ["lgbm", "lgbm_proba"]


@pytest.mark.parametrize(
    ("oof", "test"),
    [
        ("{}_cv0.81_oof.csv", "{}_cv0.81_lb0.80_test.csv"),
        ("oof/{}.csv", "sub/{}_sub_final.csv"),
        ("oof/{}_cv0.81.csv", "sub/final_{}_lb0.80.csv"),
        ("oof/{}.npy", "preds/{}_test_mean.npy"),
    ],
)
def test_names_that_differ_by_scores_and_the_like_are_paired(oof, test, tmp_path):
    for member in MEMBERS:
        touch(tmp_path / oof.format(member))
        touch(tmp_path / test.format(member))
    found = scan_files(tmp_path)
    assert [files.test for files in found.members] == [
        tmp_path / test.format(member) for member in MEMBERS
    ]
    notes = [note for note in found.notes if "the two names differ" in note]
    assert len(notes) == len(MEMBERS)


def test_scores_of_the_same_model_tell_its_files_apart(tmp_path):
    for score in ("0.81", "0.82"):
        touch(tmp_path / f"lgbm_cv{score}_oof.npy")
        touch(tmp_path / f"lgbm_cv{score}_lb0.8_test.npy")
    for files in find_files(tmp_path):
        assert files.test.name.startswith(files.name)


@pytest.mark.parametrize(
    ("oof", "test"),
    [
        (["m0", "m1"], ["model0", "model1"]),
        (["lgbm", "cat"], ["lgbm_v2", "cat_v2"]),
        (["lgbm_cv0.81", "lgbm_cv0.82"], ["lgbm_lb0.7", "lgbm_lb0.8"]),
        (["lgbm", "lgbm_final"], ["lgbm_best", "lgbm_last"]),
        (["lgbm", "cat"], ["lgbm_dart", "cat_dart"]),
    ],
)
@pytest.mark.parametrize("as_list", [True, False])
def test_given_test_files_that_pair_with_none_are_refused(oof, test, as_list, tmp_path):
    for name in oof:
        touch(tmp_path / "oof" / f"{name}_oof.csv")
    paths = [touch(tmp_path / "preds" / f"{name}_submission.csv") for name in test]
    source = paths if as_list else tmp_path / "preds"
    with pytest.raises(FileError) as caught:
        find_files(tmp_path / "oof", source)
    assert "pairs with no out-of-fold file" in str(caught.value)
    for name in (f"{test[0]}_submission.csv", f"{oof[0]}_oof.csv"):
        assert name in str(caught.value)


def test_an_empty_folder_of_given_test_files_is_refused(tmp_path):
    touch(tmp_path / "oof" / "a.npy")
    (tmp_path / "preds").mkdir()
    with pytest.raises(FileError, match="preds: holds no prediction files"):
        find_files(tmp_path / "oof", tmp_path / "preds")


def test_says_what_was_not_read(tmp_path):
    for name in ("a_oof.npy", "train.csv", "folds.csv", "model.pkl", "c_test.npy",
                 "notes.txt", "b.npy", ".hidden_oof.npy", "readme.md"):  # fmt: skip
        touch(tmp_path / name)
    found = scan_files(tmp_path)
    assert [files.name for files in found.members] == ["a"]
    notes = "\n".join(found.notes)
    for name in ("train.csv", "folds.csv", "model.pkl", "c_test.npy", "b.npy"):
        assert name in notes
    assert "hidden" not in notes


def test_nothing_found(tmp_path):
    with pytest.raises(FileError, match="holds no prediction files"):
        find_files(tmp_path)
    (tmp_path / "a.pkl").write_bytes(b"x")
    with pytest.raises(FileError, match="1 pickles not opened"):
        find_files(tmp_path)
    with pytest.raises(FileError, match="does not exist"):
        find_files(tmp_path / "nowhere")
    with pytest.raises(FileError, match="holds no prediction files"):
        find_files(f"{tmp_path}/*.npy")
    with pytest.raises(FileError, match="holds no prediction files"):
        find_files([])


def test_ten_thousand_files(tmp_path):
    for number in range(5000):
        (tmp_path / f"m{number:04d}_oof.npy").write_bytes(b"1")
        (tmp_path / f"m{number:04d}_test.npy").write_bytes(b"1")
    found = find_files(tmp_path)
    assert len(found) == 5000
    assert all(files.test is not None for files in found)


def test_thousands_of_names_that_do_not_pair_take_linear_time():
    ours = [(f"m{number}_cv0.{number}",) for number in range(20_000)]
    others = [("lgbm", f"lgbm_lb0.{number}") for number in range(20_000)]
    start = time.process_time()
    assert pair_alike(ours, others) == {}
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("stem", "folders", "role"),
    [
        ("lgbm_oof", (), "oof"),
        ("lgbm", ("oof",), "oof"),
        ("lgbm", ("preds",), "test"),
        ("oof_test", (), "test"),
        ("oof_preds_a", (), "oof"),
        ("preds_a", ("oof",), "oof"),
        ("preds_a", (), "test"),
        ("a", (), None),
        ("train", (), "oof"),
        ("a", ("test", "oof"), "oof"),
        ("contest", (), None),
        ("valid_preds_a", (), "oof"),
        ("a", ("val_preds",), "oof"),
        ("a", ("test_preds",), "test"),
        ("a", ("oof_preds",), "oof"),
        ("a", ("train_oof", "a"), "oof"),
    ],
)
def test_roles(stem, folders, role):
    assert role_of(stem, folders) == role


def test_only_whole_words_are_taken_off():
    assert strip_roles("contest_oofy", STRIPPED[0]) == "contest_oofy"
    assert strip_roles("oof", STRIPPED[0]) == ""
    assert strip_roles("OOF-Lgbm.test", STRIPPED[0]) == "Lgbm"
    assert strip_roles("a_test_b_oof", STRIPPED[0]) == "a_test_b"


def test_names_are_never_paths_of_ours(tmp_path):
    np.save(tmp_path / "=cmd()_oof.npy", np.ones(3))
    np.save(tmp_path / "<script>_oof.npy", np.ones(3))
    assert {f.name for f in find_files(tmp_path)} == {"=cmd()", "<script>"}
