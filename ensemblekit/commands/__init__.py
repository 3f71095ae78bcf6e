"""The subcommands of `ensemblekit`: each file has `add_parser` and `run`."""
