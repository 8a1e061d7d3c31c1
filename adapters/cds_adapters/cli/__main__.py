"""``python -m cds_adapters.cli`` is the command line."""

from cds_adapters.cli import main

main()
