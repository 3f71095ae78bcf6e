"""The commands of `ensemblekit`, one file each: `add_parser(commands)`, `run(options)`."""
