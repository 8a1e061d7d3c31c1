"""The pure core: dynamic treatment regimes as values in, decisions as values out."""

__version__ = "0.1.0"

#: Raised whenever the same rule bundle and history could give another decision than before.
#: Every audit record carries it, so that a decision is only ever compared with its own kind.
SEMANTICS_VERSION = 2
