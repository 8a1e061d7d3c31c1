"""The command line: one verb per job, ``--json`` everywhere, and exit codes that mean something.

Commands import what they need when they run, so that ``--help`` answers at once.
"""

import sys

from cds_adapters.cli.app import app
from cds_adapters.cli.output import CANNOT_READ, complain
from cds_engine.errors import CDSError


def main() -> None:
    """Run the command line; an error of the project becomes one readable message, no traceback."""
    try:
        app()
    except CDSError as error:
        complain(str(error))
        sys.exit(CANNOT_READ)
    except BrokenPipeError:  # the reader of a pipe has seen enough
        sys.stderr.close()
        sys.exit(0)
