"""A summary is one sentence of under 140 characters that suggests and never orders.

It is made of the rule bundle's words alone: nothing that came from a record is in it.
"""

from collections.abc import Mapping, Sequence

from cds_adapters.cds_hooks.markdown import plain, shorten
from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.decision import Decision
from cds_engine.history.value import History, Known, MissingReason
from cds_engine.vocabulary.time import iso_date

MAX_SUMMARY = 139
_MAX_TITLE = 50

_GAPS: Mapping[MissingReason, str] = {
    "unit": "{} has no usable unit",
    "implausible": "{} is outside its plausible range",
    "conflicting": "{} contradicts itself",
    "incomplete": "the search for {} was incomplete",
    "unresolved": "{} is recorded in a way that leaves it open",
}


class SummaryWriter:
    """Writes summaries for one rule bundle."""

    def __init__(self, bundle: RuleBundle) -> None:
        self._bundle = bundle
        self._labels = {name: _bare(action.label) for name, action in bundle.actions.items()}
        self._title = _inside(shorten(_bare(bundle.document.title), _MAX_TITLE))

    def advice(self, actions: Sequence[str]) -> str:
        """Say what is advised: one action, or several that are equally good."""
        labels = [self._labels[action] for action in actions]
        if len(labels) == 1:
            return f"Consider: {labels[0]}"
        return f"Consider one of {len(labels)} equal options: {'; '.join(labels)}"

    def no_advice(self, decision: Decision, history: History) -> str:
        """Say what keeps the regime from giving advice."""
        return f"No advice on {self._title}: {self._obstacle(decision, history)}"

    def barred(self, action: str, because: str) -> str:
        """Say that a safeguard bars an order."""
        return f"Safeguard against “{self._labels[action]}”: {_inside(_bare(because))}"

    def not_cleared(self, action: str, inputs: Sequence[str], history: History) -> str:
        """Say what is not known that a safeguard needs to let an order pass."""
        why = _and_more([self._gap(name, history) for name in inputs])
        return f"Safeguard not cleared for “{self._labels[action]}”: {why}"

    def unread(self, number: int) -> str:
        """Say that there are draft orders of which nobody can tell what they order."""
        which = "The order" if number == 1 else plural(number, "order")
        whose = "its product has" if number == 1 else "their products have"
        return f"{which} could not be checked: {whose} no code that can be read"

    def unrecognised(self, number: int) -> str:
        """Say that the codes of draft orders are in systems that the regime does not use."""
        which = "The order" if number == 1 else plural(number, "order")
        whose = "its code is" if number == 1 else "their codes are"
        return f"{which} could not be recognised: {whose} in a system this regime does not use"

    def differs(self, actions: Sequence[str]) -> str:
        """Say that draft orders are not what is advised."""
        return f"The draft order differs from the advice; {_inside(self.advice(actions))}"

    def no_change(self) -> str:
        """Say that draft orders change what the regime would leave as it is."""
        return f"The regime advises to continue without change ({self._title})"

    def finished(self, text: str, decision: Decision, *, frozen: bool) -> str:
        """Return the summary as sent: marked if the clock is frozen, cut to its length."""
        mark = f"[{watermark(decision)}] " if frozen else ""
        return shorten(mark + plain(text), MAX_SUMMARY)

    def _obstacle(self, decision: Decision, history: History) -> str:
        main = decision.reasons[0]
        if main.code == "safeguard":
            causes = dict.fromkeys(_bare(item.because) for item in decision.judgement.removed)
            return f"barred by a safeguard: {_inside('; '.join(causes))}"
        if not main.variables:
            return _inside(_bare(main.text))
        inputs = [name for reason in decision.reasons for name in reason.variables]
        return _and_more([self._gap(name, history) for name in inputs])

    def _gap(self, name: str, history: History) -> str:
        label = _inside(_bare(self._bundle.kinds[name].label))
        found = history.findings.get(name)
        if isinstance(found, Known):
            return f"{label} is only known as a range"
        reason: MissingReason = found.reason if found else "absent"
        if reason in _GAPS:
            return _GAPS[reason].format(label)
        variable = self._bundle.variables[name]
        measured = variable.source == "observation" and self._bundle.kinds[name].type == "number"
        if not measured or variable.before:
            return f"{label} is not known"
        if variable.window is None:
            return f"no {label} on record"
        return f"no {label} in the last {variable.window.words().removeprefix('1 ')}"


def watermark(decision: Decision) -> str:
    """Return what marks every card made with a frozen clock."""
    return f"Demonstration: as of {iso_date(decision.as_of)}"


def plural(number: int, noun: str) -> str:
    """Return a number of things in words: ``1 order``, ``2 orders``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _and_more(said: Sequence[str]) -> str:
    if not said:
        return ""
    rest = len(said) - 1
    more = f", and {rest} more input{'s' if rest > 1 else ''}" if rest else ""
    return f"{said[0]}{more}"


def _bare(text: str) -> str:
    return plain(text).rstrip(" .")


def _inside(text: str) -> str:
    """Return text as it reads in the middle of a sentence; abbreviations keep their capitals."""
    ordinary = text[1:2].islower() or text.startswith("A ")
    return text[:1].lower() + text[1:] if ordinary else text
