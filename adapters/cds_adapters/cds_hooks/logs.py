"""One JSON line per event: its name, a decision's id, and nothing of the patient's."""

import json
import logging
from types import TracebackType

_log = logging.getLogger("cds_adapters.cds_hooks")


def log_event(level: int, event: str, **fields: str | int) -> None:
    """Write one line; control characters and everything beyond ASCII are escaped.

    Fields are ids, codes and places of this program, never a value, a name or a token.
    """
    if _log.isEnabledFor(level):
        _log.log(level, "%s", json.dumps({"event": event, **fields}))


def error_place(error: BaseException) -> str:
    """Return the class of an error and where it was raised; its words may hold patient values."""
    return f"{type(error).__name__} at {_place(error.__traceback__)}"


def _place(traceback: TracebackType | None) -> str:
    place = "an unknown place"
    while traceback is not None:
        module = traceback.tb_frame.f_globals.get("__name__", "?")
        place = f"{module}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return place
