"""One JSON line per event: its name, a decision's id, and nothing of the patient's."""

import json
import logging

from cds_adapters.logs import error_place

__all__ = ["error_place", "log_event"]

_log = logging.getLogger("cds_adapters.cds_hooks")


def log_event(level: int, event: str, **fields: str | int) -> None:
    """Write one line; control characters and everything beyond ASCII are escaped.

    Fields are ids, codes and places of this program, never a value, a name or a token.
    """
    if _log.isEnabledFor(level):
        line = {"event": event, **fields}
        _log.log(level, "%s", json.dumps(line), extra={"fields": line})
