"""A record without what a visit itself ordered, as a replay sees it: that is what was decided."""

from collections.abc import Collection
from dataclasses import replace

from cds_engine.history.event import Record


def withheld(record: Record, sources: Collection[str]) -> tuple[Record, tuple[str, ...]]:
    """Return a record without some of its sources, and which of those it held, by name."""
    held = {event.source for event in record.events}.intersection(sources)
    events = tuple(event for event in record.events if event.source not in held)
    return replace(record, events=events), tuple(sorted(held))
