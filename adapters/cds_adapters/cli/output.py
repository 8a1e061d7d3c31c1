"""What the commands print: JSON on request, else text for a person; complaints go to stderr."""

import json
import sys
from typing import Any

FINE = 0
FINDINGS = 1
USAGE = 2
CANNOT_READ = 3


def print_json(value: Any) -> None:
    """Print one JSON document on one line."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, separators=(", ", ": ")) + "\n")


def say(text: str = "") -> None:
    """Print one line for a person."""
    sys.stdout.write(text + "\n")


def complain(text: str) -> None:
    """Print one message to standard error."""
    sys.stderr.write(f"cds-engine: {text}\n")


def table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table that fits the terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(title=title or None, title_justify="left", show_lines=False)
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*map(Text, row))
    # a pipe or a file has no width of its own; eighty columns would break every other word
    Console(width=None if sys.stdout.isatty() else 140).print(shown)
