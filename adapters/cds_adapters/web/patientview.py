"""The rewind page: what was known about a patient at an instant, and what regimes said on it."""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.datastructures import QueryParams

from cds_adapters.clock import InstantError, parse_instant
from cds_adapters.web.account import Account, account
from cds_adapters.web.words import GAPS, Calendar
from cds_adapters.withheld import withheld
from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.decision import Decision
from cds_engine.decide.regime import Regime
from cds_engine.history.event import Event, Record
from cds_engine.history.select import known_by
from cds_engine.history.value import Finding, History, Known
from cds_engine.vocabulary.time import Instant, iso
from cds_engine.vocabulary.units import unit_words
from cds_engine.vocabulary.value import value_text

_EVER: Instant = 2**62
NOT_IN_FORCE = frozenset({"not-yet-effective", "expired-bundle"})


@dataclass(frozen=True, slots=True)
class Wish:
    """What the address asks for.

    Attributes:
        as_of: the instant; now where none can be read.
        text: the instant as it was typed.
        regime: the regime, or regime@version, to show in full; empty for the first that applies.
        problem: why the instant cannot be used; empty where it can.
        without: source records that are withheld: a replay decides before what was ordered in the
            very encounter.
        run: the run whose page led here, if one did.
        side: ``against`` where it is the run's second version that is asked.
    """

    as_of: Instant
    text: str
    regime: str = ""
    problem: str = ""
    without: tuple[str, ...] = ()
    run: str = ""
    side: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One variable as it stood.

    Attributes:
        value: in words; empty where it is missing.
        missing: why there is none, in words; empty where there is one.
        note: how it came about, or the detail of what is missing.
        when: when its newest source was true; empty if that has no time.
    """

    name: str
    label: str
    value: str
    unit: str
    missing: str
    note: str
    when: str
    ago: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stop:
    """An instant to go to: its words, how it reads in an address, and whether it is this one."""

    words: str
    as_of: str
    here: bool = False


@dataclass(frozen=True, slots=True)
class Visit:
    """An encounter of the record, with its start and its end where they are known."""

    source: str
    codes: tuple[str, ...]
    stops: tuple[Stop, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """What one version said then; ``address`` names it in an address."""

    bundle: RuleBundle
    account: Account
    shown: bool
    address: str


@dataclass(frozen=True, slots=True)
class PatientView:
    """All that the page shows.

    Attributes:
        before, after: the nearest instants at which something became known; None if there is none.
        known, later: how many source records were known by then, and how many came later.
        regimes: what each says; empty where the one that is asked for is absent.
        shown: what is said in full; None where the one that is asked for is absent, for what
            another says is no answer of it.
        decision: what it rests on.
        read_by: the version whose variables are shown.
        rows: every variable of it.
        set_aside: source records that were not used then, and why.
        without: source records that are withheld.
        choices: the regimes that can be asked: how an address names each, and its title.
    """

    patient: str
    wish: Wish
    before: Stop | None
    after: Stop | None
    known: int
    later: int
    visits: tuple[Visit, ...]
    regimes: tuple[Said, ...]
    shown: Said | None
    decision: Decision | None
    read_by: RuleBundle
    choices: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]
    set_aside: tuple[tuple[str, str], ...]
    deceased: bool
    without: tuple[str, ...]

    @property
    def absent(self) -> str:
        """The regime that is asked for and that was not read; empty where there is one."""
        return self.wish.regime if self.shown is None else ""

    @property
    def address(self) -> str:
        """How an address names what is asked for."""
        return self.wish.regime if self.shown is None else self.shown.address


def read_wish(query: QueryParams, now: Instant) -> Wish:
    """Read the address; an instant that is none is kept as typed, with the reason."""
    text, regime = query.get("as_of", "").strip(), query.get("regime", "")
    without = tuple(dict.fromkeys(query.getlist("without")))
    run = query.get("run", ""), query.get("side", "")
    if not text:
        return Wish(now, iso(now), regime, "", without, *run)
    # a plus sign in an address stands for a blank unless it was quoted
    text = text.replace(" ", "+")
    try:
        return Wish(parse_instant(text), text, regime, "", without, *run)
    except InstantError as error:
        return Wish(now, text, regime, str(error), without, *run)


def patient_view(
    record: Record, regimes: Sequence[Regime], wish: Wish, calendar: Calendar
) -> PatientView:
    """Rewind a record to an instant.

    Args:
        record: the patient's.
        regimes: who is asked; of several versions of a regime the first goes by its name alone.
        wish: what the address asks for.
        calendar: writes instants.
    """
    record, without = withheld(record, wish.without)
    told = [(regime, *regime.decide(record, wish.as_of)) for regime in regimes]
    bundles = [regime.bundle for regime in regimes]
    names = _names(bundles)
    asked = _asked(bundles, names, wish.regime)
    absent = bool(wish.regime) and asked is None
    chosen = asked
    if chosen is None:
        chosen = _chosen([decision for _, _, decision in told], bundles, wish.regime)
    said = tuple(
        Said(
            regime.bundle,
            account(regime.bundle, decision, history, calendar),
            n == chosen,
            names[n],
        )
        for n, (regime, history, decision) in enumerate(told)
    )
    history = told[chosen][1]
    recorded = sorted({event.recorded for event in record.events})
    before = [at for at in recorded if at < wish.as_of]
    after = [at for at in recorded if at > wish.as_of]
    known = {event.source for event in record.events if event.recorded <= wish.as_of}
    return PatientView(
        patient=record.person.key,
        wish=wish,
        before=_stop(before[-1], wish, calendar) if before else None,
        after=_stop(after[0], wish, calendar) if after else None,
        known=len(known),
        later=len({event.source for event in record.events} - known),
        visits=tuple(_visits(record, wish, calendar)),
        regimes=() if absent else said,
        shown=None if absent else said[chosen],
        decision=None if absent else told[chosen][2],
        read_by=bundles[chosen],
        choices=tuple((one.address, _title(one)) for one in said),
        rows=tuple(_rows(bundles[chosen], history, calendar)),
        set_aside=history.set_aside,
        deceased=history.deceased,
        without=without,
    )


def _names(bundles: Sequence[RuleBundle]) -> list[str]:
    names: list[str] = []
    for bundle in bundles:
        names.append(bundle.identity if bundle.regime in names else bundle.regime)
    return names


def _title(said: Said) -> str:
    title = said.bundle.document.title
    return f"{title} ({said.bundle.version})" if "@" in said.address else title


def _asked(bundles: Sequence[RuleBundle], names: Sequence[str], wanted: str) -> int | None:
    """Return which is asked for; None where nothing is, or one that is not among them."""
    for n, (bundle, name) in enumerate(zip(bundles, names, strict=True)):
        if wanted in (name, bundle.identity):
            return n
    return None


def _chosen(decisions: Sequence[Decision], bundles: Sequence[RuleBundle], wanted: str) -> int:
    """Return which has a word on the patient, another version of what is asked for first."""
    regime = wanted.partition("@")[0]
    return min(
        range(len(decisions)),
        key=lambda n: (bundles[n].regime != regime, _apart(decisions[n]), n),
    )


def _apart(decision: Decision) -> int:
    """Return how far a regime is from having a word on the patient: 0 where it is at a stage."""
    if decision.stage is not None:
        return 0
    if decision.outcome == "not_applicable":
        return 3
    return 2 if any(reason.code in NOT_IN_FORCE for reason in decision.reasons) else 1


def _stop(at: Instant, wish: Wish, calendar: Calendar) -> Stop:
    return Stop(calendar.stamp(at), iso(at), at == wish.as_of)


def _visits(record: Record, wish: Wish, calendar: Calendar) -> list[Visit]:
    """Return the encounters, newest first, whether they were known by then or not."""
    seen = [e for e in known_by(record.events, _EVER)[0] if e.kind == "encounter" and e.time]
    seen.sort(key=lambda event: (_start(event), event.source), reverse=True)
    return [
        Visit(
            event.source,
            event.codes,
            tuple(
                _stop(at, wish, calendar)
                for at in (_start(event), event.until.end if event.until else None)
                if at is not None
            ),
        )
        for event in seen
    ]


def _start(event: Event) -> Instant:
    return event.time.start if event.time is not None else event.recorded


def _rows(bundle: RuleBundle, history: History, calendar: Calendar) -> list[Row]:
    return [
        _row(bundle, name, finding, history.as_of, calendar)
        for name, finding in history.findings.items()
    ]


def _row(
    bundle: RuleBundle, name: str, finding: Finding, as_of: Instant, calendar: Calendar
) -> Row:
    kind = bundle.kinds[name]
    times = [(r.start, r.end) for r in finding.readings if r.start is not None]
    start, end = max(times) if times else (None, None)
    known = isinstance(finding, Known)
    return Row(
        name=name,
        label=kind.label,
        value=_value(bundle, name, finding) if isinstance(finding, Known) else "",
        unit=unit_words(kind.unit) if known else "",
        missing="" if isinstance(finding, Known) else GAPS[finding.reason],
        note=finding.note if isinstance(finding, Known) else finding.detail,
        when="" if start is None else calendar.span(start, end or start),
        ago="" if start is None else calendar.ago(start, as_of),
        sources=tuple(reading.source for reading in finding.readings),
    )


def _value(bundle: RuleBundle, name: str, finding: Known) -> str:
    text = value_text(finding.value)
    if bundle.variables[name].source != "course" or text not in (*bundle.actions, "none"):
        return text
    return "nothing yet" if text == "none" else bundle.actions[text].label
