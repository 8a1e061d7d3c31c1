"""Every line on standard error is one JSON object, whoever wrote it."""

import json
import logging
import sys
from datetime import UTC, datetime


class JsonLines(logging.Formatter):
    """Writes a record as one line: when, how grave, and its fields or its message.

    Of an error only its class and place are written: its words may hold what a patient's record
    says.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; control characters and everything beyond ASCII are escaped."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
        }
        fields = getattr(record, "fields", None)
        line |= (
            {"logger": record.name, "message": record.getMessage()} if fields is None else fields
        )
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = error_place(record.exc_info[1])
        return json.dumps(line)


def log_to_stderr() -> None:
    """Send what every logger of the process says to standard error, as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)  # one line for each


def error_place(error: BaseException) -> str:
    """Return the class of an error and where it was raised; its words may hold patient values."""
    place, traceback = "an unknown place", error.__traceback__
    while traceback is not None:
        module = traceback.tb_frame.f_globals.get("__name__", "?")
        place = f"{module}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return f"{type(error).__name__} at {place}"
