"""A decision becomes cards: what it suggests, on which basis, by which version; never an order.

Which card there is:

- a recommendation or an equipoise: one card, ``info``; ``warning`` where a safeguard removed what
  the rule would have advised;
- an abstention: one ``info`` card that says what is missing, if the site shows abstentions;
- no change, or a regime that is not for the patient: none.

The order hooks criticise draft orders and suggest nothing unasked: who is writing an order sees a
card only if that order is barred (``critical``), cannot be read, or is not what is advised
(``warning``), or cannot be recognised for its code system (``info``). Somebody who opens the
patient has seen the recommendation itself.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from cds_adapters.cds_hooks.critique import Barred, Critic, Critique, advised_actions
from cds_adapters.cds_hooks.detail import DetailWriter
from cds_adapters.cds_hooks.drafts import ORDER_HOOKS, Draft
from cds_adapters.cds_hooks.markdown import escape, plain, shorten
from cds_adapters.cds_hooks.orders import OrderForms, order_text
from cds_adapters.cds_hooks.summary import SummaryWriter, plural, watermark
from cds_adapters.storage.records import CardReceipt
from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.decision import Decision
from cds_engine.decide.scalar import missing_inputs
from cds_engine.history.value import History

Card = dict[str, Any]
Indicator = Literal["info", "warning", "critical"]

RULE_EXTENSION = "org.cds-engine.rule"
REASON_SYSTEM = "http://terminology.hl7.org/CodeSystem/non-adherence-reason-codes"
OVERRIDE_REASONS = (
    ("cds-not-applicable", "PC CDS does not apply to patient"),
    ("action-completed", "Recommended action was already completed"),
    ("patient-contraindication", "Patient has a contraindication to the recommended action"),
    ("recipient-concerns-outcomes", "Recipient has concerns regarding potential health outcomes"),
    (
        "recipient-disagrees-evidence",
        "Recipient disagrees with recommendation because of issues with the evidence",
    ),
    (
        "does-not-align-preferences",
        "Recommendation does not align with patient preferences or values",
    ),
    ("prefers-alternative", "Patient prefers an alternative"),
    ("not-convenient-feasible", "Recommended action is not convenient or feasible"),
    ("cds-suboptimal-context", "PC CDS delivered in suboptimal context"),
)
_MAX_LABEL = 200


@dataclass(frozen=True, slots=True)
class CardContext:
    """What a card needs to know besides the decision.

    Attributes:
        decision_id: opaque id under which the decision is stored.
        patient_id: bare id of the patient in the client's FHIR server.
        base_url: public URL of this service.
        hook: the hook that was called.
        frozen: whether the clock was set from outside; marked on every card.
        show_abstentions: whether an abstention shows a card.
        uuid: makes the identifiers of cards and suggestions.
    """

    decision_id: str
    patient_id: str
    base_url: str
    hook: str
    frozen: bool
    show_abstentions: bool
    uuid: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Rendered:
    """The cards of one answer, and by which identifiers feedback finds them."""

    cards: list[Card]
    receipts: tuple[CardReceipt, ...]


@dataclass(frozen=True, slots=True)
class _Draw:
    """What differs between the cards of one answer."""

    summary: str
    indicator: Indicator
    sections: Iterable[str]
    suggestions: Sequence[Card] = ()
    can_be_overridden: bool = True


class CardRenderer:
    """Makes cards for one rule bundle; whatever does not depend on the patient is made once."""

    def __init__(self, bundle: RuleBundle) -> None:
        self.bundle = bundle
        self._orders = OrderForms(bundle.actions)
        self._details = DetailWriter(bundle)
        self._summaries = SummaryWriter(bundle)
        self._critic = Critic(bundle)
        self._source = _source(bundle)
        self._labels = {n: shorten(plain(a.label), _MAX_LABEL) for n, a in bundle.actions.items()}
        self._ordered = {
            n: shorten(plain(order_text(a)), _MAX_LABEL) for n, a in bundle.actions.items()
        }

    def render(
        self,
        decision: Decision,
        history: History,
        context: CardContext,
        drafts: Sequence[Draft] | None = None,
    ) -> Rendered:
        """Return the cards of a decision.

        Args:
            decision: of this renderer's rule bundle.
            history: what the decision was made from.
            context: of this call.
            drafts: the draft orders; given for order hooks, which get a critique of them only.
        """
        if drafts is not None or context.hook in ORDER_HOOKS:
            found = self._critic.criticise(decision, drafts or ())
            draws = self._of_critique(found, decision, history, context)
        else:
            draws = self._of_decision(decision, history, context)
        cards = [self._card(draw, decision, context) for draw in draws]
        return Rendered(cards, tuple(map(_receipt, cards)))

    def _of_decision(
        self, decision: Decision, history: History, context: CardContext
    ) -> list[_Draw]:
        if decision.outcome == "abstention":
            return self._abstention(decision, history, context)
        if decision.outcome not in ("recommendation", "equipoise"):
            return []
        indicator: Indicator = "warning" if self._details.displaced(decision) else "info"
        return [
            _Draw(
                self._summaries.advice(decision.candidates),
                indicator,
                self._details.advice(decision, history),
                self._suggestions(decision, context),
            )
        ]

    def _abstention(
        self, decision: Decision, history: History, context: CardContext
    ) -> list[_Draw]:
        if not context.show_abstentions:
            return []
        summary = self._summaries.no_advice(decision, history)
        sections = self._details.advice(decision, history)
        return [_Draw(summary, "info", sections, can_be_overridden=False)]

    def _of_critique(
        self, found: Critique, decision: Decision, history: History, context: CardContext
    ) -> list[_Draw]:
        # The alternative is offered once, so that two accepted cards cannot order it twice.
        offer = decision.outcome in ("recommendation", "equipoise")
        offer = offer and found.ordered.isdisjoint(advised_actions(decision))
        draws = []
        for barred in found.barred:
            alternatives = self._suggestions(decision, context, barred.drafts) if offer else []
            draws.append(self._barred(barred, decision, history, context, alternatives))
            offer = False
        if found.unread:
            draws.append(self._unread(found.unread))
        if found.unrecognised:
            draws.append(self._unrecognised(found.unrecognised))
        if found.other:
            if decision.outcome == "abstention":
                return draws + self._abstention(decision, history, context)
            replaced = [draft for _, draft in found.other]
            alternatives = self._suggestions(decision, context, replaced) if offer else []
            draws.append(self._differing(found, decision, history, alternatives))
        return draws

    def _barred(
        self,
        barred: Barred,
        decision: Decision,
        history: History,
        context: CardContext,
        alternatives: list[Card],
    ) -> _Draw:
        certain = next((o for o in barred.objections if o.verdict), None)
        if certain is not None:
            summary = self._summaries.barred(barred.action, certain.guard.because)
        else:
            names = {n for o in barred.objections for n in o.guard.when.names()}
            gaps = missing_inputs(self.bundle, names, decision.state)  # type: ignore[arg-type]
            summary = self._summaries.not_cleared(barred.action, gaps, history)
        sections = [f"A draft orders: {self._details.phrases.actions[barred.action]}."]
        for objection in barred.objections:
            sections += self._details.barred(
                objection.guard, objection.verdict, objection.trace, decision, history
            )
        removal = self._removal(barred, context)
        return _Draw(summary, "critical", sections, [*alternatives, *removal])

    def _unread(self, drafts: Sequence[Draft]) -> _Draw:
        reasons = Counter(draft.unread for draft in drafts)
        said = [f"- {plural(number, 'order')}: {why}" for why, number in reasons.items()]
        advice = (
            "No safeguard of this regime was applied to what could not be read. Check by hand, or "
            "send the order with a coded product."
        )
        sections = ["\n".join(["**Not checked**\n", *said]), advice]
        return _Draw(self._summaries.unread(len(drafts)), "warning", sections)

    def _unrecognised(self, drafts: Sequence[Draft]) -> _Draw:
        number, systems = len(drafts), map(escape, sorted(self._critic.systems))
        said = (
            f"{plural(number, 'draft order')} {'is' if number == 1 else 'are'} coded in no system "
            f"that the options of this regime are coded in ({', '.join(systems)}), so that nobody "
            "can tell whether one of them is ordered."
        )
        advice = (
            "No safeguard of this regime was applied. Check by hand; those who run the service "
            "can say in its settings, under codes, what they mean."
        )
        summary = self._summaries.unrecognised(number)
        return _Draw(summary, "info", [said, advice], can_be_overridden=False)

    def _differing(
        self, found: Critique, decision: Decision, history: History, alternatives: list[Card]
    ) -> _Draw:
        labels = self._details.phrases.actions
        drafted = "; ".join(dict.fromkeys(labels[action] for action, _ in found.other))
        advised = "; ".join(labels[action] for action in decision.candidates)
        sections = [f"A draft orders: {drafted}.", f"Advised at this stage: {advised}."]
        sections += self._details.advice(decision, history)
        if decision.outcome == "no_change":
            return _Draw(self._summaries.no_change(), "warning", sections)
        summary = self._summaries.differs(decision.candidates)
        return _Draw(summary, "warning", sections, alternatives)

    def _suggestions(
        self, decision: Decision, context: CardContext, replaced: Sequence[Draft] = ()
    ) -> list[Card]:
        """Return one suggestion per advised action; the one of a recommendation is marked so.

        An action that orders nothing is offered too: only what is offered can be accepted.
        """
        found = []
        for action in decision.candidates:
            suggestion: Card = {"label": self._labels[action], "uuid": context.uuid()}
            if decision.outcome == "recommendation":
                suggestion["isRecommended"] = True
            steps = [*_removals(replaced), *self._creation(action, context)]
            if steps:
                suggestion["actions"] = steps
            found.append(suggestion)
        return found

    def _creation(self, action: str, context: CardContext) -> list[Card]:
        order = self._orders.order(action, context.patient_id)
        if order is None:
            return []
        described = f"Draft an order: {self._ordered[action]}"
        return [{"type": "create", "description": described, "resource": order}]

    def _removal(self, barred: Barred, context: CardContext) -> list[Card]:
        steps = _removals(barred.drafts)
        if not steps:
            return []
        label = shorten(f"Remove the draft order: {self._labels[barred.action]}", _MAX_LABEL)
        return [{"label": label, "uuid": context.uuid(), "actions": steps}]

    def _card(self, draw: _Draw, decision: Decision, context: CardContext) -> Card:
        mark = [f"**{watermark(decision)}**"] if context.frozen else []
        closing = self._details.closing(decision, context.decision_id)
        card: Card = {
            "uuid": context.uuid(),
            "summary": self._summaries.finished(draw.summary, decision, frozen=context.frozen),
            "detail": "\n\n".join([*mark, *draw.sections, closing]),
            "indicator": draw.indicator,
            "source": dict(self._source),
        }
        if draw.suggestions:
            card["suggestions"] = list(draw.suggestions)
            card["selectionBehavior"] = "at-most-one"
        if draw.can_be_overridden:
            card["overrideReasons"] = [
                {"system": REASON_SYSTEM, "code": code, "display": display}
                for code, display in OVERRIDE_REASONS
            ]
        card["links"] = self._links(context)
        card["extension"] = {RULE_EXTENSION: self._rule(decision, context)}
        return card

    def _links(self, context: CardContext) -> list[Card]:
        base = context.base_url.rstrip("/")
        bundle = self.bundle
        return [
            {
                "label": "Basis of this decision",
                "url": f"{base}/decisions/{context.decision_id}",
                "type": "absolute",
            },
            {
                "label": f"The regime, version {bundle.version}",
                "url": f"{base}/regimes/{bundle.regime}/{bundle.version}",
                "type": "absolute",
            },
        ]

    def _rule(self, decision: Decision, context: CardContext) -> Card:
        rule = {"regime": decision.regime, "version": decision.version, "digest": decision.digest}
        if decision.stage is not None:
            rule["stage"] = decision.stage
        rule["decision"] = context.decision_id
        return rule


def render(
    bundle: RuleBundle,
    decision: Decision,
    history: History,
    context: CardContext,
    drafts: Sequence[Draft] | None = None,
) -> Rendered:
    """Return the cards of a decision; a service keeps a ``CardRenderer`` instead."""
    return CardRenderer(bundle).render(decision, history, context, drafts)


def _removals(drafts: Sequence[Draft]) -> list[Card]:
    return [
        {"type": "delete", "description": "Remove the draft order", "resourceId": draft.reference}
        for draft in drafts
        if draft.reference
    ]


def _source(bundle: RuleBundle) -> dict[str, str]:
    source = {"label": shorten(plain(bundle.document.title), _MAX_LABEL)}
    url = bundle.document.source or ""
    parts = urlsplit(url)
    if parts.scheme in ("http", "https") and parts.hostname:
        source["url"] = url
    return source


def _receipt(card: Card) -> CardReceipt:
    suggestions = tuple(suggestion["uuid"] for suggestion in card.get("suggestions", ()))
    return CardReceipt(card["uuid"], suggestions)
