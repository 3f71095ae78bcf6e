"""Python that fits again what `ensemblekit fit` fitted."""

from typing import Any

from ..blending._snippet import class_names, write_constructor
from ..files._content import kind_of
from ..files._sniff import sniff
from ..files._text import scan_lines
from ._features import CATEGORY, NUMBER


def write_code(rows, stacked, members, options) -> str:
    """Return a script; it needs nothing but the table.

    members : list of `Member`, or None for the default ones
    """
    combiner = stacked.combiner
    kind = type(stacked).__name__
    parts = [
        f'"""What `ensemblekit fit` fitted on {_quoted(rows.path.name)}."""\n',
        "\n".join(_imports(rows, stacked, members)),
        "",
        *_read(rows),
        *_members(members, rows.task),
        f"stacked = {kind}(",
        "    members,",
        f"    {write_constructor(combiner)},",
        f"    cv={_splitter(stacked.cv)},",
        *_limits(options),
        f"    n_jobs={options.n_jobs},",
        f"    random_state={options.seed},",
        ")",
        f"stacked.fit(X, y{_fit_arguments(rows)})",
        "for row in stacked.leaderboard_:",
        '    print(row["name"], row["loss"], row["loss_se"], row["weight"])',
    ]
    return "\n".join(parts) + "\n"


def _quoted(name):
    return ascii(name).replace('"', "'").replace("\\", "/")


def _imports(rows, stacked, members):
    own = {type(stacked).__name__, *class_names(stacked.combiner)}
    modules, others, encoders = (
        set(),
        {type(stacked.cv).__name__: "model_selection"},
        [],
    )
    if members is None:
        own.add("default_members")
    else:
        modules = {member.estimator.rpartition(".")[0] for member in members}
        encoders = sorted({m.encoder for m in members if m.encoder is not None})
        others |= {"make_pipeline": "pipeline"} if encoders else {}
    lines = [*(f"import {name}" for name in sorted({*modules, "pandas as pd"}))]
    lines += [f"from sklearn.{part} import {name}" for name, part in others.items()]
    lines += ["", f"from ensemblekit import {', '.join(sorted(own))}"]
    if encoders:
        lines.append(f"from ensemblekit.members import {', '.join(encoders)}")
    return lines


def _read(rows):
    numbers = [c.name for c in rows.columns if c.kind == NUMBER]
    texts = [c.name for c in rows.columns if c.kind == CATEGORY]
    own = [rows.target] if _spells_bools(rows) else []
    lines = [f"table = {_table(rows, [*texts, *own])}"]
    lines.append(f"X = table[{[c.name for c in rows.columns]!r}].copy()")
    if numbers:
        lines.append(f"numbers = {numbers!r}")
        lines.append('X[numbers] = X[numbers].astype("float64")')
    if texts:
        lines.append(f"texts = {texts!r}")
        lines.append('X[texts] = X[texts].astype("category")')
    lines.append(f"y = {_target(rows)}")
    for name, column in (("weight", rows.weight_name), ("groups", rows.groups_name)):
        if column is not None:
            kind = '"float64"' if name == "weight" else "str"
            lines.append(f"{name} = table[{column!r}].astype({kind}).to_numpy()")
    return [*lines, ""]


def _table(rows, texts):
    path = rows.path
    if kind_of(path) in (".parquet", ".pq"):
        return f"pd.read_parquet({str(path)!r})"
    dialect = sniff(path, scan_lines(path).head)
    options = {"sep": dialect.delimiter, "decimal": dialect.decimal}
    defaults = {"sep": ",", "decimal": "."}
    given: dict[str, Any] = {
        key: value for key, value in options.items() if value != defaults[key]
    }
    if dialect.n_header == 0:
        given |= {"header": None, "names": dialect.names}
    given |= {"skipinitialspace": True, "encoding": "utf-8-sig"}
    if texts:
        given["dtype"] = dict.fromkeys(texts, "str")
    parts = "".join(f", {key}={value!r}" for key, value in given.items())
    return f"pd.read_csv({str(path)!r}{parts})"


def _spells_bools(rows):
    """Return whether the labels are False and True in other words than Python's."""
    labels = [] if rows.classes is None else list(map(str, rows.classes))
    known = [label.lower() for label in labels] == ["false", "true"]
    return known and labels != ["False", "True"]


def _target(rows):
    kind = "float64" if rows.task == "regression" else rows.y.dtype.name
    kind = "str" if rows.y.dtype.kind == "U" else kind
    return f'table[{rows.target!r}].astype("{kind}").to_numpy()'


def _members(members, task):
    if members is None:
        return [f"members = default_members({task!r})"]
    lines = [f"    ({m.name!r}, {m.code()})," for m in members]
    return ["members = [", *lines, "]"]


def _splitter(cv):
    return (
        f"{type(cv).__name__}(n_splits={cv.n_splits}, shuffle=True, "
        f"random_state={cv.random_state})"
    )


def _limits(options):
    given = {"time_limit": options.time_limit, "memory": options.memory}
    return [f"    {k}={v!r}," for k, v in given.items() if v is not None]


def _fit_arguments(rows):
    weight = "" if rows.weight is None else ", sample_weight=weight"
    return weight + ("" if rows.groups is None else ", groups=groups")
