"""`ensemblekit inspect`: what is wrong with files of predictions, all at once."""

from importlib.util import find_spec

from ._common import fail, missing_packages, one_or_several
from .blend import add_inputs

_NEEDED = ("pandas", "pyarrow")


def add_parser(commands):
    """Add the command's parser."""
    parser = commands.add_parser(
        "inspect",
        help="say what is wrong with files of predictions, without blending",
        description="Find and pair prediction files, and print everything that stands "
        "in the way of a blend, or looks wrong: exit code 2 if a blend would refuse.",
    )
    add_inputs(parser, target_required=False)
    parser.add_argument("--sample-submission", metavar="FILE")


def run(options):
    """Run the command; return the exit code."""
    problem = missing_packages(_NEEDED, find=find_spec)
    if problem:
        return fail(problem)
    try:
        return _run(options)
    except (ValueError, TypeError, MemoryError, OSError) as error:
        return fail(error)


def _run(options):
    from ..files import find_files, find_problems

    oof, test = one_or_several(options.oof), one_or_several(options.test)
    findings = find_problems(
        oof,
        options.target,
        id=options.id,
        test=test,
        folds=options.folds,
        sample=options.sample_submission,
    )
    wrong = [finding for finding in findings if finding.level == "error"]
    if not wrong:
        for files in find_files(oof, test):
            print(f"{files.name}: {files.oof} {files.test or ''} [{files.layout}]")
    for finding in findings:
        print(finding)
    print(f"{len(wrong)} errors, {len(findings) - len(wrong)} warnings and hints.")
    return 2 if wrong else 0
