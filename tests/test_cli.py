"""The command: files, exit codes, one sentence where something is unfit."""

import subprocess
import sys

import pytest

import ensemblekit
from ensemblekit import cli
from ensemblekit.commands import demo


@pytest.fixture
def calls(monkeypatch):
    """Record the calls of the job instead of running it."""
    made = []
    monkeypatch.setattr(
        "ensemblekit.demo.run_demo", lambda *args, **kwargs: made.append((args, kwargs))
    )
    return made


def refusal(arguments, capsys):
    """Run the command, check that it refuses in one line, return the line."""
    assert cli.main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("ensemblekit: ")
    assert printed.err.count("\n") == 1
    return printed.err


def test_version(capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"ensemblekit {ensemblekit.__version__}\n"


def test_no_command_prints_help(capsys):
    assert cli.main([]) == 2
    assert "demo" in capsys.readouterr().err


def test_defaults_reach_the_job(calls):
    assert cli.main(["demo"]) == 0
    assert calls == [(("demo_output",), {"n_rows": None, "seed": 0, "n_jobs": 2})]


def test_options_reach_the_job(calls):
    options = ["--output", "out", "--rows", "300", "--n-jobs", "-1", "--seed", "7"]
    assert cli.main(["demo", *options]) == 0
    assert calls == [(("out",), {"n_rows": 300, "seed": 7, "n_jobs": -1})]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rows", "199"], "--rows is 199; the demo needs at least 200 rows."),
        (["--n-jobs", "0"], "--n-jobs is 0; expected 1 or more, or -1"),
        (["--seed", "-1"], "--seed is -1; expected 0 to 4294967295."),
    ],
)
def test_refuses_numbers_out_of_range(options, message, calls, capsys):
    assert message in refusal(["demo", *options], capsys)
    assert not calls


def test_refuses_words_for_numbers(capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["demo", "--rows", "many"])
    assert stopped.value.code == 2
    assert "--rows: invalid int value: 'many'" in capsys.readouterr().err


def test_names_missing_packages(monkeypatch, calls, capsys):
    monkeypatch.setattr(demo, "find_spec", lambda name: name == "pandas" or None)
    message = refusal(["demo"], capsys)
    assert "needs pyarrow, rich" in message
    assert "pip install 'ensemblekit[cli,boosting]'" in message
    assert not calls


@pytest.mark.parametrize("below", [".", "deeper"])
def test_refuses_a_file_in_the_way(below, tmp_path, capsys):
    (tmp_path / "taken").write_text("a file")
    message = refusal(["demo", "--output", str(tmp_path / "taken" / below)], capsys)
    assert "a file is in the way" in message
    assert "--output" in message


def test_refuses_a_folder_it_cannot_write_to(monkeypatch, tmp_path, capsys):
    def refuse(path, content):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.write_bytes", refuse)
    message = refusal(["demo", "--output", str(tmp_path)], capsys)
    assert f"Cannot write to the folder {tmp_path}: Permission denied." in message


def test_interruption_has_its_exit_code(monkeypatch, capsys):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("ensemblekit.demo.run_demo", interrupt)
    assert cli.main(["demo"]) == 130
    assert capsys.readouterr().err == "Interrupted.\n"


def test_import_is_light():
    heavy = "{'numpy', 'pandas', 'rich', 'numba', 'sklearn', 'lightgbm'}"
    code = f"import ensemblekit.cli, sys; print({heavy} & sys.modules.keys())"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "set()"


def test_runs_as_a_module():
    run = subprocess.run(
        [sys.executable, "-m", "ensemblekit.cli", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == f"ensemblekit {ensemblekit.__version__}\n"
