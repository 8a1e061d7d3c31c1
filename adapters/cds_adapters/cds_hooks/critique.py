"""A draft order is criticised only where it is recognised as an action of the regime.

Safeguards hold at every stage and under every outcome of a patient whom the regime may be for;
whether a draft agrees with the advice is asked only where there is advice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cds_adapters.cds_hooks.drafts import Draft
from cds_engine.bundle.model import RuleBundle, Safeguard
from cds_engine.criteria.syntax import Trace, Verdict
from cds_engine.decide.decision import Decision
from cds_engine.vocabulary.code import full_code, short_code

_OUT_OF_DATE = frozenset({"expired-bundle", "not-yet-effective"})


@dataclass(frozen=True, slots=True)
class Objection:
    """One safeguard that is not definitely false, with the comparisons that were looked at."""

    guard: Safeguard
    verdict: Verdict
    trace: Trace


@dataclass(frozen=True, slots=True)
class Barred:
    """An action that safeguards bar, and the drafts that order it."""

    action: str
    drafts: tuple[Draft, ...]
    objections: tuple[Objection, ...]


@dataclass(frozen=True, slots=True)
class Critique:
    """What there is to say about draft orders.

    Attributes:
        barred: what must not be ordered while a safeguard is not definitely false.
        other: drafts that order an action which is not barred and not advised, with the action.
        ordered: actions that some draft orders, selected or not.
        unread: drafts of a medication of which nobody can tell what they order.
        unrecognised: drafts whose codes are in systems that the regime's options are not coded
            in, so that they may order one of them all the same.
    """

    barred: tuple[Barred, ...] = ()
    other: tuple[tuple[str, Draft], ...] = ()
    ordered: frozenset[str] = frozenset()
    unread: tuple[Draft, ...] = ()
    unrecognised: tuple[Draft, ...] = ()


class Critic:
    """Criticises drafts by one rule bundle; holds no patient's data."""

    def __init__(self, bundle: RuleBundle) -> None:
        self._bundle = bundle
        self._actions: dict[str, list[str]] = {}
        for name, action in bundle.actions.items():
            ordered = (action.order.code,) if action.order else ()
            for code in dict.fromkeys((*action.seen_as, *ordered)):
                self._actions.setdefault(short_code(*full_code(code)), []).append(name)
        self.systems = frozenset(code.rpartition("|")[0] for code in self._actions)
        barred = {name for guard in bundle.safeguards for name in guard.never}
        orders = [action.order for n, action in bundle.actions.items() if n in barred]
        self._bars_services = any(o and o.resource == "ServiceRequest" for o in orders)

    def recognised(self, draft: Draft) -> tuple[str, ...]:
        """Return the actions that a draft orders; none for an order *not* to do something."""
        if draft.do_not_perform:
            return ()
        found = {name for code in draft.codes for name in self._actions.get(code, ())}
        return tuple(name for name in self._bundle.actions if name in found)

    def criticise(self, decision: Decision, drafts: Sequence[Draft]) -> Critique:
        """Return what the rule bundle has against some drafts.

        A draft that may mean several actions is barred if one of them is, and otherwise agrees
        if one of them is advised.
        """
        meant = [(draft, self.recognised(draft)) for draft in drafts]
        ordered = frozenset(action for _, actions in meant for action in actions)
        if decision.outcome == "not_applicable" or decision.judgement.code in _OUT_OF_DATE:
            return Critique(ordered=ordered)
        advised = advised_actions(decision)
        objections = {action: self._objections(action, decision) for action in ordered}
        barred: dict[str, list[Draft]] = {}
        other: list[tuple[str, Draft]] = []
        for draft, actions in meant:
            if not draft.selected or not actions:
                continue
            action = next((action for action in actions if objections[action]), None)
            if action is not None:
                barred.setdefault(action, []).append(draft)
            elif advised.isdisjoint(actions):
                other.append((actions[0], draft))
        found = tuple(Barred(a, tuple(held), objections[a]) for a, held in barred.items())
        open_ = [
            draft
            for draft, actions in meant
            if draft.selected and not actions and not draft.do_not_perform
        ]
        unread = tuple(d for d in open_ if d.unread and not _is_service(d))
        unrecognised = tuple(d for d in open_ if d not in unread and self._may_be_ours(d))
        return Critique(found, tuple(other), ordered, unread, unrecognised)

    def _may_be_ours(self, draft: Draft) -> bool:
        """Say whether a draft that is not recognised may order an option of the regime.

        Services are ordered in words all day long: one is asked about only where a safeguard
        bars a service.
        """
        if _is_service(draft) and not self._bars_services:
            return False
        systems = {code.rpartition("|")[0] for code in draft.codes}
        return bool(draft.codes or draft.unread) and self.systems.isdisjoint(systems)

    def _objections(self, action: str, decision: Decision) -> tuple[Objection, ...]:
        found = []
        for guard in self._bundle.safeguards:
            if action in guard.never:
                trace: Trace = []
                verdict = guard.when.evaluate(decision.state, trace)  # type: ignore[arg-type]
                if verdict is not False:
                    found.append(Objection(guard, verdict, trace))
        return tuple(found)


def _is_service(draft: Draft) -> bool:
    return draft.resource_type == "ServiceRequest"


def advised_actions(decision: Decision) -> frozenset[str]:
    """Return the actions that agree with a decision; none for an abstention."""
    match decision.outcome:
        case "recommendation" | "no_change" | "equipoise":
            return frozenset(decision.candidates)
        case _:
            return frozenset()
