"""Files that must be refused, made at run time: name -> maker(folder, canary).

A maker writes its file beside good ones and returns it, and where it likes the line
that the message must name. The bank has 60 rows, ids 100 to 159, values or two or
three classes.
"""

import bz2
import gzip
import io
import json
import os
import pickle
import socket
import struct
import zipfile

import numpy as np
import pandas as pd

N = 60
IDS = np.arange(100, 100 + N)


def good_values():
    return np.random.default_rng(7).normal(size=N)


class Trap:
    """Touches the canary when it is unpickled."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return (open, (str(self.canary), "w"))


def trap_array(canary):
    array = np.empty(N, dtype=object)
    array[:] = [Trap(canary)] * N
    return array


def npy_bytes(array, allow_pickle=False):
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=allow_pickle)
    return stream.getvalue()


def header_bytes(text, version=(1, 0), data=b"\0" * 8 * N):
    if isinstance(text, str):
        text = text.encode("latin1")
    length = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + length + text + data


def zip_bytes(entries, compression=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return stream.getvalue()


def csv_lines(values=None, header="id,pred"):
    values = good_values() if values is None else values
    return [header, *(f"{i},{v}" for i, v in zip(IDS, values, strict=True))]


CASES = {}


def add(name, file, content, line=None, task="regression"):
    """Add a case: bytes, or a function of (path, canary), written as `file`."""
    assert name not in CASES, name
    CASES[name] = (file, content, line, task)


def text(lines):
    return ("\n".join(lines) + "\n").encode()


def replace_line(number, new, header="id,pred"):
    """The file with one line, counted from 1, replaced."""
    lines = csv_lines(header=header)
    lines[number - 1] = new
    return text(lines)


def add_npy():
    values = good_values()
    whole = npy_bytes(values)
    add("npy-empty", "bad.npy", b"")
    for cut in (1, 5, 6, 7, 8, 9, 10, 20, 50, 100, 127, 128, 129, 200, 300, 607):
        add(f"npy-cut-{cut}", "bad.npy", whole[:cut])
    for more in (1, 7, 8, 480, 5000):
        add(f"npy-longer-{more}", "bad.npy", whole + b"\0" * more)
    header = "{{'descr': '<f8', 'fortran_order': False, 'shape': {}, }}\n"
    for number, shape in enumerate(
        ["(10**12,)", "(1000000000000,)", "(-60,)", "(60, 10000000000)", "(0,)", "()",
         "(60, 1, 1, 1)", "(60, 0)", "(9223372036854775807, 9223372036854775807)",
         "(2, 2, 2, 2, 2)", "(60.0,)", "('60',)", "60", "None", "[60]", "(True,)",
         "(99999999999999999999999999,)", "(60, -1)", "((60,),)", "(1, 60, 0)"]
    ):  # fmt: skip
        add(f"npy-shape-{number}", "bad.npy", header_bytes(header.format(shape)))
    for number, descr in enumerate(
        ["'|O'", "'|O8'", "'<U10'", "'|S8'", "'<c16'", "'<M8[ns]'", "'<m8[s]'", "'|V8'",
         "[('a', '<f8')]", "'no'", "None", "8", "'<f8,<f8'", "[]", "{}", "'<f800'",
         "[('a', '|O')]", "('<f8', (3,))"]
    ):  # fmt: skip
        bad = f"{{'descr': {descr}, 'fortran_order': False, 'shape': (60,), }}\n"
        add(f"npy-dtype-{number}", "bad.npy", header_bytes(bad))
    for number, bad in enumerate(
        ["__import__('os').system('touch CANARY')", "{'descr': '<f8'}", "{}", "[]", "",
         "{'descr': '<f8', 'fortran_order': False, 'shape': (60,), 'x': 1}",
         "{'descr': '<f8', 'fortran_order': 7, 'shape': (60,)}", "(" * 5000,
         "{'descr': open('CANARY', 'w'), 'fortran_order': False, 'shape': (60,)}",
         "[" * 300 + "]" * 300, "\xff\xfe", "{'descr': '<f8'\0}", "1" * 60000]
    ):  # fmt: skip
        add(f"npy-header-{number}", "bad.npy", header_bytes(bad))
    text_header = header.format("(60,)")
    for version in [(0, 0), (3, 1), (9, 9), (255, 255), (1, 1)]:
        name = f"npy-version-{version[0]}-{version[1]}"
        add(name, "bad.npy", header_bytes(text_header, version))
    add(
        "npy-header-length", "bad.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + b"{" * 99
    )
    add("npy-magic", "bad.npy", b"NUMPY\x93" + whole[6:])
    add("npy-random", "bad.npy", np.random.default_rng(0).bytes(5000))
    add("npy-pickle", "bad.npy", lambda p, c: p.write_bytes(pickle.dumps(Trap(c))))
    add(
        "npy-objects",
        "bad.npy",
        lambda p, c: p.write_bytes(npy_bytes(trap_array(c), allow_pickle=True)),
    )
    add_npy_values(values)


def add_npy_values(values):
    for number, array in enumerate(
        [values[:-1], np.append(values, 1.0), values[:1], np.tile(values, 2),
         values[None],
         np.stack([values] * 3), np.stack([values] * 3, 1), np.zeros((N, 500)),
         np.stack([values] * 3, 1)[None], np.zeros((3, N + 1, 1)), np.zeros((N, 3, 1)),
         np.zeros((N + 1, 2)), values.astype(complex), values.astype(str),
         values.astype("M8[s]"), np.float64(1.0), np.zeros((1, 1, N, 1))]
    ):  # fmt: skip
        add(f"npy-array-{number}", "bad.npy", npy_bytes(array))
    for row in (0, 1, 30, N - 1):
        for bad in (np.nan, np.inf, -np.inf):
            broken = values.copy()
            broken[row] = bad
            add(f"npy-{bad}-{row}", "bad.npy", npy_bytes(broken))
    seeds = np.stack([values, values])[:, :, None]
    seeds[1, 5] = np.nan
    add("npy-nan-in-one-seed", "bad.npy", npy_bytes(seeds))
    add("npy-float16-overflow", "bad.npy", npy_bytes(np.full(N, np.inf, np.float16)))
    shares = np.full((N, 3), 1 / 3)
    for number, (task, bad) in enumerate(
        [("binary", values), ("binary", np.full(N, 1.1)),
         ("binary", np.full((N, 2), 0.6)),
         ("binary", np.full(N, -0.01)), ("classes", shares[:, :2]), ("classes",
         shares * 2),
         ("classes", np.full(N, 0.3)), ("classes", np.hstack([shares, shares])),
         ("classes", shares.T), ("classes", -shares), ("classes", shares + 0.01),
         ("binary", np.full((N, 3), 1 / 3)), ("classes", np.arange(N) % 3)]
    ):  # fmt: skip
        add(f"npy-probabilities-{number}", "bad.npy", npy_bytes(bad), task=task)


def add_npz():
    values = good_values()
    whole = zip_bytes([("oof.npy", npy_bytes(values))])
    add("npz-empty", "bad.npz", b"")
    for cut in (1, 4, 30, 100, 200, 400, 600, len(whole) - 1, len(whole) - 22):
        add(f"npz-cut-{cut}", "bad.npz", whole[:cut])
    add("npz-no-entries", "bad.npz", zip_bytes([]))
    add("npz-random", "bad.npz", np.random.default_rng(1).bytes(3000))
    add("npz-is-npy", "bad.npz", npy_bytes(values))
    for number, name in enumerate(
        [
            "../../x.npy",
            "/etc/x.npy",
            "a\\..\\b.npy",
            "x.txt",
            "x.pkl",
            "..npy.",
            "a/b.npy",
        ]
    ):
        add(f"npz-name-{number}", "bad.npz", zip_bytes([(name, npy_bytes(values))]))
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }\n"
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        bomb = zip_bytes([("a.npy", header_bytes(header))], compression)
        add(f"npz-header-bomb-{compression}", "bad.npz", bomb)
    many = "{'descr': '<f8', 'fortran_order': False, 'shape': (12000000,), }\n"
    data = header_bytes(many, data=b"\0" * 96_000_000)
    add("npz-zip-bomb", "bad.npz", zip_bytes([("a.npy", data)], zipfile.ZIP_DEFLATED))
    add(
        "npz-lies",
        "bad.npz",
        whole.replace(struct.pack("<I", 608), b"\xff\xff\xff\x7f"),
    )
    lots = [(f"{i}.npy", npy_bytes(values)) for i in range(1001)]
    add("npz-1001-entries", "bad.npz", zip_bytes(lots))
    add(
        "npz-objects",
        "bad.npz",
        lambda p, c: p.write_bytes(
            zip_bytes([("oof.npy", npy_bytes(trap_array(c), allow_pickle=True))])
        ),
    )
    add(
        "npz-pickle-entry",
        "bad.npz",
        lambda p, c: p.write_bytes(zip_bytes([("oof.npy", pickle.dumps(Trap(c)))])),
    )
    flipped = bytearray(whole)
    flipped[200] ^= 255  # its checksum tells
    add("npz-checksum", "bad.npz", bytes(flipped))
    locked = bytearray(whole)
    locked[6] |= 1
    locked[whole.rindex(b"PK\x01\x02") + 8] |= 1
    add("npz-encrypted", "bad.npz", bytes(locked))
    unknown = bytearray(whole)
    unknown[whole.rindex(b"PK\x01\x02") + 10] = 97
    add("npz-method", "bad.npz", bytes(unknown))
    for number, array in enumerate([values[:-1], values[None], np.full(N, np.nan)]):
        bad = zip_bytes([("oof.npy", npy_bytes(array))], zipfile.ZIP_DEFLATED)
        add(f"npz-array-{number}", "bad.npz", bad)
    seeds = zip_bytes(
        [("oof.npy", npy_bytes(np.zeros((50_000, N, 1))))], zipfile.ZIP_DEFLATED
    )
    add("npz-many-seeds", "bad.npz", seeds)
    other = [("test.npy", npy_bytes(values)), ("test_b.npy", npy_bytes(values))]
    add("npz-only-test", "bad.npz", zip_bytes(other))
    odd = [("id.npy", npy_bytes(IDS)), ("oof.npy", npy_bytes(values[:-1]))]
    add("npz-odd-lengths", "bad.npz", zip_bytes(odd))
    twice = [("id.npy", npy_bytes(IDS % 30)), ("oof.npy", npy_bytes(values))]
    add("npz-ids-twice", "bad.npz", zip_bytes(twice))


def add_csv_text():
    lines = csv_lines()
    whole = text(lines)
    add("csv-empty", "bad.csv", b"")
    add("csv-blank", "bad.csv", b"\n\n\n")
    add("csv-spaces", "bad.csv", b"   \n")
    add("csv-header-only", "bad.csv", b"id,pred\n")
    add("csv-header-no-newline", "bad.csv", b"id,pred")
    add("csv-bom-only", "bad.csv", b"\xef\xbb\xbf")
    add("csv-utf16", "bad.csv", "\n".join(lines).encode("utf-16"))
    add("csv-utf16-be", "bad.csv", b"\xfe\xff" + "\n".join(lines).encode("utf-16-be"))
    add("csv-utf16-no-bom", "bad.csv", "\n".join(lines).encode("utf-16-le"), 1)
    add("csv-utf32", "bad.csv", "\n".join(lines).encode("utf-32"))
    add("csv-latin1-header", "bad.csv", whole.replace(b"pred", b"pr\xe9d"), 1)
    add(
        "csv-latin1-cell",
        "bad.csv",
        replace_line(9, "107,\xe9").replace(b"\xc3", b""),
        9,
    )
    for at in (1, 3, 40, 61):
        add(f"csv-nul-{at}", "bad.csv", replace_line(at, "1\0,2"), at)
    add("csv-is-npy", "bad.csv", npy_bytes(good_values()))
    add("csv-is-zip", "bad.csv", zip_bytes([("a.csv", whole)]))
    add("csv-is-bz2", "bad.csv", bz2.compress(whole))
    add("csv-is-png", "bad.csv", b"\x89PNG\r\n\x1a\n" + b"\x01\x02" * 300)
    add("csv-is-html", "bad.csv", b"<html><body>" + b"<p>Sign in</p>\n" * 30)
    add("csv-is-json", "bad.csv", json.dumps({"a": [1] * N}).encode())
    add("csv-is-pickle", "bad.csv", lambda p, c: p.write_bytes(pickle.dumps(Trap(c))))
    packed = gzip.compress(whole)
    for cut in (2, 10, 20, len(packed) // 2, len(packed) - 4):
        add(f"gz-cut-{cut}", "bad.csv.gz", packed[:cut])
    add("gz-damaged", "bad.csv.gz", packed[:60] + b"\0" * 20 + packed[80:])
    add("gz-checksum", "bad.csv.gz", packed[:-8] + b"\0" * 8)
    add("gz-bomb", "bad.csv.gz", gzip.compress(b"id,pred\n" + b"0" * 50_000_000))
    add("gz-bomb-of-rows", "bad.csv.gz", gzip.compress(b"1,1\n" * 10_000_000, 1))
    add("gz-twice", "bad.csv.gz", gzip.compress(packed))
    add(
        "csv-wide",
        "bad.csv",
        (",".join(f"c{i}" for i in range(50_000)) + "\n1").encode(),
    )
    million = (",".join(map(str, range(1_000_000))) + "\n").encode()
    add("csv-million-columns", "bad.csv", million)
    add("csv-long-line", "bad.csv", whole + b"1" * 3_000_000)
    add("csv-giant-line", "bad.csv", make_sparse)
    add("csv-many-rows", "bad.csv", b"pred\n" + b"1\n" * 80_000)
    add("csv-quote-open", "bad.csv", replace_line(5, '103,"1.5'))
    add("csv-quote-header", "bad.csv", whole.replace(b"id,pred", b'"id,pred'))
    add("csv-quoted-newline", "bad.csv", replace_line(7, '105,"1\n.5"'))


def make_sparse(path, canary):
    with open(path, "wb") as file:
        file.write(b"id,pred\n")
        file.truncate(2**30)


def add_csv_cells():
    for at in (2, 3, 31, 60, 61):
        for number, cell in enumerate(
            ["", " ", "NaN", "nan", "NA", "null", "inf", "-inf", "1e400", "abc",
             "=cmd()",
             "=1+1", "@SUM(1)", "1,5", "--1", "1.5.5", "0x1F", "1;2", "<script>",
             "1_000",
             "1 000", "$5", "5%", "True story", "'1", "-", "1e", "2024-01-01", "\u221e"]
        ):  # fmt: skip
            if at == 2 or number % 7 == at % 7:
                broken = replace_line(at, f"{IDS[at - 2]},{cell}")
                add(f"csv-cell-{at}-{number}", "bad.csv", broken, at)
    for at in (2, 3, 30, 61):
        add(f"csv-one-cell-{at}", "bad.csv", replace_line(at, f"{IDS[at - 2]}"), at)
        line = f"{IDS[at - 2]},1,2"
        add(f"csv-three-cells-{at}", "bad.csv", replace_line(at, line), at)
    for at in (3, 30):
        add(f"csv-blank-line-{at}", "bad.csv", replace_line(at, ""), at)
    for header, line in [
        ("id,id", 1),
        ("pred,pred", 1),
        ("id,pred,pred", 1),
        ("id", 2),
    ]:
        add(f"csv-header-{header}", "bad.csv", replace_line(1, header), line)
    lines = csv_lines()
    add(
        "csv-comma-decimals", "bad.csv", text([lines[0], *(f"{i},0,5" for i in IDS)]), 2
    )
    mixed = [line.replace(",", ";") for line in lines]
    mixed[4] = "103;0,5"
    add("csv-both-decimals", "bad.csv", text(mixed), 5)
    add("csv-two-readings", "bad.csv", text(["0,5"] * N), 1)
    add("csv-no-header", "bad.csv", text(["0.5"] * (N - 1)))


def add_ids():
    lines = csv_lines()
    for at in (2, 30, 61):
        for number, bad in enumerate(["", "NaN", "null"]):
            add(
                f"id-missing-{at}-{number}", "bad.csv", replace_line(at, f"{bad},1"), at
            )
        other = 130 if at == 2 else 100
        later = max(at, 32 if at == 2 else at)
        add(f"id-twice-{at}", "bad.csv", replace_line(at, f"{other},1.0"), later)
        for number, bad in enumerate(["999", "-1", "abc", "1e3", "100.5", "=cmd()"]):
            name = f"id-stranger-{at}-{number}"
            add(name, "bad.csv", replace_line(at, f"{bad},1.0"))
    add("id-one-less", "bad.csv", text(lines[:-1]))
    add("id-half", "bad.csv", text(lines[:31]))
    add("id-one-more", "bad.csv", text([*lines, "999,1.0"]), 62)
    add("id-all-twice", "bad.csv", text([*lines, *lines[1:]]), 62)
    add("id-other-rows", "bad.csv", text(["id,pred", *(f"{i},1" for i in range(N))]))
    padded = ["id,pred", *(f"x{i},1" for i in IDS)]
    add("id-as-text", "bad.csv", text(padded))
    truth = pd.DataFrame({"target": np.arange(N, dtype=float), "pred": 1.0})
    add("truth-differs", "bad.csv", truth.to_csv(index=False).encode())
    add("rows-less", "bad.csv", text(["pred", *["1.5"] * (N - 1)]))
    add("rows-more", "bad.csv", text(["pred", *["1.5"] * (N + 1)]))


def add_csv_classes():
    shares = pd.DataFrame(np.full((N, 3), 1 / 3), columns=["a", "b", "c"])
    for number, frame in enumerate(
        [shares[["a", "b"]], shares.rename(columns={"c": "d"}), shares * 2, -shares,
         shares[["a"]], shares.assign(c=np.nan), shares.assign(c="x"), shares[:-1],
         shares.assign(a=1.5), shares.assign(a=0.0)]
    ):  # fmt: skip
        data = frame.to_csv(index=False).encode()
        add(f"csv-classes-{number}", "bad.csv", data, task="classes")
    for number, frame in enumerate(
        [pd.DataFrame({"no": np.full(N, 0.4)}), pd.DataFrame({"pred": np.full(N, 7)}),
         pd.DataFrame({"no": np.full(N, 0.4), "yes": np.full(N, 0.7), "x": "text"}),
         pd.DataFrame({"pred": ["no"] * N}), pd.DataFrame({"pred": np.full(N, -0.5)})]
    ):  # fmt: skip
        data = frame.to_csv(index=False).encode()
        add(f"csv-binary-{number}", "bad.csv", data, task="binary")


def parquet_bytes(table):
    stream = io.BytesIO()
    if isinstance(table, pd.DataFrame):
        table.to_parquet(stream, index=False)
    else:
        import pyarrow.parquet as pq

        pq.write_table(table, stream)
    return stream.getvalue()


def add_parquet():
    import pyarrow as pa

    frame = pd.DataFrame({"id": IDS, "pred": good_values()})
    whole = parquet_bytes(frame)
    size = len(whole)
    for cut in (
        0,
        1,
        4,
        8,
        12,
        100,
        size // 4,
        size // 2,
        size - 100,
        size - 8,
        size - 1,
    ):
        add(f"parquet-cut-{cut}", "bad.parquet", whole[:cut])
    add("parquet-magic", "bad.parquet", whole[:-4] + b"PARE")
    add("parquet-footer", "bad.parquet", whole[:-8] + b"\xff\xff\xff\x7fPAR1")
    add("parquet-footer-0", "bad.parquet", whole[:-8] + b"\0\0\0\0PAR1")
    noise = np.random.default_rng(2).bytes(300)
    add("parquet-noise", "bad.parquet", whole[:-308] + noise + whole[-8:])
    add("parquet-data", "bad.parquet", whole[:4] + b"\xff" * 200 + whole[204:])
    add("parquet-is-csv", "bad.parquet", text(csv_lines()))
    add(
        "parquet-is-pickle",
        "bad.parquet",
        lambda p, c: p.write_bytes(pickle.dumps(Trap(c))),
    )
    for number, bad in enumerate(
        [frame[:-1], frame[:0], frame[:1], frame.assign(pred=np.nan),
         frame.assign(pred="x"),
         frame.assign(pred=np.inf), frame.assign(id=5), frame.assign(id=IDS % 30),
         frame.assign(id=IDS + 1), pd.concat([frame, frame]), frame.assign(id=None),
         frame.assign(pred=pd.Timestamp("2024-01-01")), frame.assign(pred=None),
         frame.assign(pred=pd.Series([None, *good_values()[1:]])), frame.iloc[::2]]
    ):  # fmt: skip
        add(f"parquet-frame-{number}", "bad.parquet", parquet_bytes(bad))
    lists = pa.table({"pred": pa.array([[1.0, 2.0]] * N)})
    add("parquet-lists", "bad.parquet", parquet_bytes(lists))
    add("parquet-binary", "bad.parquet", parquet_bytes(pa.table({"pred": [b"x"] * N})))
    maps = pa.table({"pred": pa.array([{"a": 1}] * N)})
    add("parquet-structs", "bad.parquet", parquet_bytes(maps))
    twice = pa.table([pa.array(good_values())] * 2, names=["pred", "pred"])
    add("parquet-twice", "bad.parquet", parquet_bytes(twice))
    wide = pa.table({f"c{i}": [0.5] for i in range(10_001)})
    add("parquet-wide", "bad.parquet", parquet_bytes(wide))
    long = pa.table({"pred": pa.array(np.zeros(2_000_000))})
    add("parquet-long", "bad.parquet", parquet_bytes(long))


def add_paths():
    add("path-fifo", "bad.npy", lambda p, c: os.mkfifo(p))
    add("path-fifo-csv", "bad.csv", lambda p, c: os.mkfifo(p))
    for suffix in ("npy", "csv", "parquet", "npz"):
        add(f"path-folder-{suffix}", f"bad.{suffix}", lambda p, c: p.mkdir())
    add("path-link-out", "bad.csv", lambda p, c: p.symlink_to("/etc/passwd"))
    add("path-link-shadow", "bad.csv", lambda p, c: p.symlink_to("/etc/shadow"))
    add("path-link-device", "bad.npy", lambda p, c: p.symlink_to("/dev/zero"))
    add("path-link-proc", "bad.csv", lambda p, c: p.symlink_to("/proc/self/environ"))
    add("path-link-nowhere", "bad.csv", lambda p, c: p.symlink_to(p.parent / "nowhere"))
    add("path-link-loop", "bad.csv", lambda p, c: p.symlink_to(p))
    add("path-link-up", "bad.csv", make_link_up)
    add("path-socket", "bad.npy", make_socket)


def make_link_up(path, canary):
    (path.parent.parent / "outside.csv").write_bytes(text(csv_lines()))
    path.symlink_to("../outside.csv")


def make_socket(path, canary):
    where = os.getcwd()
    os.chdir(path.parent)  # names of sockets are short
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(where)


for add_some in (
    add_npy, add_npz, add_csv_text, add_csv_cells, add_ids, add_csv_classes,
    add_parquet,
    add_paths,
):  # fmt: skip
    add_some()
