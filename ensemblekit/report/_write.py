"""Write a text whole or not at all."""

import os


def write_text(path, text):
    """Write beside `path`, then rename; a name in UTF-8's gaps becomes a reference."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8", errors="xmlcharrefreplace")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
