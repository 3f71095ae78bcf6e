"""One file for each command: `add_parser(commands)` and `run(options)`."""
