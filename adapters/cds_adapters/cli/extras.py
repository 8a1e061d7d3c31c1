"""A command that needs an optional part of the distribution says which, if it is not installed."""

from importlib.util import find_spec

from cds_engine.errors import CDSError

REPLAY = ("fsspec", "joblib", "pyarrow", "zstandard")
"""What the extra ``replay`` brings that reading exports needs."""


class ExtraMissingError(CDSError):
    """An optional part that is not installed."""


def need(extra: str, modules: tuple[str, ...]) -> None:
    """Raise ExtraMissingError unless all modules of an extra can be imported."""
    lacking = [name for name in modules if find_spec(name) is None]
    if lacking:
        raise ExtraMissingError(
            f"this needs {', '.join(lacking)}, which {'is' if len(lacking) == 1 else 'are'} not "
            f"installed; install the extra: pip install 'cds-engine[{extra}]'"
        )
