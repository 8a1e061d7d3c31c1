"""What pages call things: units, instants, verdicts and outcomes in a reader's words."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from cds_engine.bundle.model import RuleBundle
from cds_engine.criteria.syntax import Verdict
from cds_engine.vocabulary.time import DAY, Instant, moment
from cds_engine.vocabulary.units import unit_words

OUTCOMES: Mapping[str, str] = {
    "recommendation": "Recommendation",
    "equipoise": "Several options equally good",
    "no_change": "No change",
    "not_applicable": "Not applicable",
    "abstention": "No advice possible",
    "error": "Error",
}
"""Every way a call can end, in the order in which pages show them."""

REASONS: Mapping[str, str] = {
    "missing": "Input missing",
    "stale": "Input too old",
    "out-of-range": "Input not believable",
    "unit-unknown": "Input without a usable unit",
    "conflicting-data": "Input contradicts itself",
    "incomplete": "Search incomplete",
    "unresolved": "Input left open",
    "out-of-population": "Outside the population",
    "no-stage": "No stage fits",
    "several-stages": "Several stages fit",
    "positivity-unsupported": "Not covered by the data",
    "safeguard": "Barred by a safeguard",
    "rule-abstains": "The rule gives no advice here",
    "expired-bundle": "Version expired",
    "not-yet-effective": "Version not yet in force",
    "deceased": "Patient deceased",
}

GAPS: Mapping[str, str] = {
    "absent": "not on record",
    "stale": "too old",
    "unit": "no usable unit",
    "implausible": "not believable",
    "conflicting": "contradicts itself",
    "incomplete": "search incomplete",
    "unresolved": "left open",
}
"""Why an input is missing."""


def spoken(bundle: RuleBundle) -> RuleBundle:
    """Return the bundle with units as people read them; for showing, never for deciding."""
    kinds = {n: replace(kind, unit=unit_words(kind.unit)) for n, kind in bundle.kinds.items()}
    aim = bundle.document.aim
    aim = aim.model_copy(update={"unit": unit_words(aim.unit or "") or None})
    return replace(bundle, kinds=kinds, document=bundle.document.model_copy(update={"aim": aim}))


def sentence(text: str) -> str:
    """Begin a text with a capital letter, as a reader expects where it stands alone."""
    return text[:1].upper() + text[1:]


def yes_no(verdict: Verdict) -> str:
    """Name a verdict: yes, no or unknown."""
    return {True: "yes", False: "no", None: "unknown"}[verdict]


class Calendar:
    """Instants written in one time zone."""

    def __init__(self, zone: str) -> None:
        self.zone = ZoneInfo(zone)

    def stamp(self, at: Instant) -> str:
        """Write an instant to the second: ``2025-01-06 09:00:00 UTC``."""
        return self._local(at).strftime("%Y-%m-%d %H:%M:%S %Z")

    def span(self, start: Instant, end: Instant) -> str:
        """Write a time as precisely as it was recorded: an instant, a day, a month or a year."""
        first, after = self._local(start), self._local(end + 1)
        whole_days = first.timetz() == after.timetz() and not any(first.timetuple()[3:6])
        if end <= start or not whole_days:
            return first.strftime("%Y-%m-%d %H:%M %Z")
        days = after.date() - first.date()
        if days == timedelta(days=1):
            return first.date().isoformat()
        if first.day == after.day == 1 and days <= timedelta(days=31):
            return first.strftime("%Y-%m")
        if first.timetuple()[1:3] == after.timetuple()[1:3] == (1, 1):
            return str(first.year)
        return f"{first.date().isoformat()} to {(after.date() - timedelta(days=1)).isoformat()}"

    def ago(self, at: Instant, as_of: Instant) -> str:
        """Say how many days lie between a time and the decision, so that nobody has to count."""
        days = (self._local(as_of).date() - self._local(at).date()).days
        if days == 0:
            return "the same day" if as_of - at < DAY else "1 day before"
        if days < 0:
            return f"{-days} days after" if days < -1 else "1 day after"
        return f"{days} days before" if days > 1 else "1 day before"

    def _local(self, at: Instant) -> datetime:
        return moment(at).astimezone(self.zone)
