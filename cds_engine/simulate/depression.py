"""A two-stage SMART in depression: an antidepressant or therapy, then augment or switch.

Adults with major depression are randomised to sertraline or cognitive behavioural therapy. After
eight weeks remitters (PHQ-9 below 5) go on; the others are randomised to augment with bupropion or
to switch to mirtazapine. The outcome is the PHQ-9 at 16 weeks. All numbers are made up. With
z ~ N(0, 1) afresh and [x] = x rounded to a whole number within its range::

    age  = [45 + 11 z], 18..90                                (nothing depends on it)
    G    = [10 + 4 z], 0..21                                   GAD-7 at baseline
    P0   = [17 + 0.2 (G - 10) + 3 z], 10..27                   PHQ-9 at baseline
    A1   ~ sertraline with probability `sertraline`, else cbt
    P8   = [0.55 P0 - 1.5 - 0.18 (G - 10) + 3.2 z], 0..27      after sertraline
           [0.55 P0 - 1.9 + 0.22 (G - 10) + 3.2 z], 0..27      after cbt
    A2   ~ augment with probability `augment`, else switch; only if P8 >= 5
    Y    = [0.8 P8 + 0.5 + 2.5 z], 0..27                       remitters
           [0.9 P8 - 2.4 + 0.2 (P8 - 9) c + 2.5 z], 0..27      augment, c = `tailoring`
           [0.9 P8 - 3.0 - 0.2 (P8 - 9) c + 0.1 (G - 10) + 2.5 z], 0..27   switch

A small rest of symptoms calls for augmenting and a large one for switching, the more so the less
anxious the patient is. At the start sertraline suits the anxious, therapy the others. Scores
are whole, so every mean is a finite sum: values are exact, and the best regime is found by dynamic
programming.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cds_engine.simulate import vocabulary as v
from cds_engine.simulate.noise import Floats
from cds_engine.simulate.normal import rounded_to
from cds_engine.simulate.stage import Aim, Stage, Visit
from cds_engine.simulate.world import (
    Array,
    Bools,
    Choose,
    Columns,
    Regime,
    Rule,
    World,
    decide,
    picked,
    recorded,
)

REMISSION = 5
"""PHQ-9 below it is remission."""

_GAD, _BASE, _PHQ = np.arange(22.0), np.arange(10.0, 28.0), np.arange(28.0)
_FIRST, _SECOND = ("sertraline", "cbt"), ("augment", "switch")


@dataclass(frozen=True, kw_only=True)
class DepressionParameters:
    """The lots and the strength of tailoring.

    Attributes:
        sertraline: probability of sertraline at the first randomisation.
        augment: probability of augmenting at the second.
        tailoring: c of the equations; 0 leaves the symptoms at eight weeks without influence.
    """

    sertraline: float = 0.5
    augment: float = 0.5
    tailoring: float = 1.0


class DepressionSmart(World):
    """The world; the equations are in the module's docstring."""

    name: ClassVar[str] = "depression-smart"
    title: ClassVar[str] = "A SMART in depression: augment or switch for those not in remission"
    aim: ClassVar[Aim] = Aim(outcome="phq9", at="P16W", unit="{score}", better="lower")
    population: ClassVar[str] = "age >= 18 and depression"
    always: ClassVar[tuple[str, ...]] = ("depression",)
    variables: ClassVar[Mapping[str, v.Document]] = {
        "age": v.AGE,
        "depression": v.on_the_list("Major depression", "snomed|370143000"),
        "gad7": v.measured("GAD-7 at the start", "loinc|70274-6", "{score}", 0, (0, 21),
                           within="P1Y", take="earliest"),
        "phq9": v.measured("PHQ-9 now", "loinc|44261-6", "{score}", 0, (0, 27)),
        "phq9_before": v.measured("PHQ-9 at the start", "loinc|44261-6", "{score}", 0, (0, 27),
                                  within="P70D", take="earliest"),
        "step": v.STEP,
        "weeks_on_step": v.WEEKS_ON_STEP,
        "remission": {"derive": f"phq9 < {REMISSION}", "label": "In remission"},
    }  # fmt: skip
    actions: ClassVar[Mapping[str, v.Document]] = {
        "sertraline": v.ordered("Start sertraline 50 mg once daily", "drug", "MedicationRequest",
                                "rxnorm|312941", "sertraline 50 MG Oral Tablet",
                                "50 mg by mouth once daily"),
        "cbt": v.ordered("Start cognitive behavioural therapy", "procedure", "ServiceRequest",
                         "snomed|228557008", "Cognitive and behavioral therapy (regime/therapy)"),
        "augment": v.ordered(
            "Add bupropion XL 150 mg once daily", "drug", "MedicationRequest", "rxnorm|993541",
            "24 HR bupropion hydrochloride 150 MG Extended Release Oral Tablet",
            "150 mg by mouth once daily, added to what is given"),
        "switch": v.ordered("Switch to mirtazapine 15 mg once daily", "drug", "MedicationRequest",
                            "rxnorm|311725", "mirtazapine 15 MG Oral Tablet",
                            "15 mg by mouth at night, in place of what is given"),
        "go_on": v.unchanged("Go on as before"),
    }  # fmt: skip
    codes: ClassVar[Mapping[str, str]] = v.displays(
        actions,
        {
            "snomed|370143000": "Major depressive disorder (disorder)",
            "loinc|70274-6": "Generalized anxiety disorder 7 item (GAD-7) total score",
            "loinc|44261-6": "Patient Health Questionnaire 9 item (PHQ-9) total score",
        },
    )
    visits: ClassVar[tuple[Visit, ...]] = (
        Visit(week=0, stage="start", readings={"gad7": "gad7", "phq9": "phq9_start"}),
        Visit(week=8, stage="eight_weeks", readings={"phq9": "phq9_eight_weeks"}),
        Visit(week=16, readings={"phq9": "outcome"}),
    )
    _normal = ("age", "gad7", "phq9_start", "phq9_eight_weeks", "outcome")

    def __init__(self, parameters: DepressionParameters | None = None) -> None:
        self.parameters = parameters or DepressionParameters()
        p, q = self.parameters.sertraline, self.parameters.augment
        self.stages = (
            Stage(
                name="start", title="Start", week=0,
                variables=("age", "gad7", "phq9"),
                columns={"age": "age", "gad7": "gad7", "phq9": "phq9_start"},
                actions=_FIRST, when="step is none",
                randomised={"sertraline": p, "cbt": 1 - p},
            ),
            Stage(
                name="eight_weeks", title="Eight weeks, not in remission", week=8,
                variables=("age", "gad7", "phq9_before", "phq9", "step", "remission"),
                columns={"age": "age", "gad7": "gad7", "phq9_before": "phq9_start",
                         "phq9": "phq9_eight_weeks", "step": "action_start",
                         "remission": "remission"},
                actions=_SECOND, decides="not remission",
                when="step in [sertraline, cbt] and weeks_on_step >= 8",
                randomised={"augment": q, "switch": 1 - q},
            ),
        )  # fmt: skip

    def _unfold(self, noise: Columns, choose: Choose) -> dict[str, Array]:
        columns: dict[str, Array] = {}
        columns["age"] = recorded(45 + 11 * noise["age"], 0, 18, 90)
        columns["gad7"] = gad = recorded(10 + 4 * noise["gad7"], 0, 0, 21)
        columns["phq9_start"] = base = recorded(_base(gad) + 3 * noise["phq9_start"], 0, 10, 27)
        first = decide(self, 0, columns, choose)
        middle = np.where(first == "sertraline", *[_middle(a, gad, base) for a in _FIRST])
        phq = recorded(middle + 3.2 * noise["phq9_eight_weeks"], 0, 0, 27)
        columns["phq9_eight_weeks"] = phq
        columns["remission"] = phq < REMISSION
        second = decide(self, 1, columns, choose)
        end = np.select(
            [second == "augment", second == "switch"], [self._end(a, gad, phq) for a in _SECOND],
            self._end(None, gad, phq),
        )  # fmt: skip
        columns["outcome"] = recorded(end + 2.5 * noise["outcome"], 0, 0, 27)
        return columns

    def _end(self, action: str | None, gad: Floats, phq: Floats) -> Floats:
        """Return the mean of the outcome before rounding; ``None`` is for remitters."""
        lean = 0.2 * (phq - 9) * self.parameters.tailoring
        match action:
            case "augment":
                return 0.9 * phq - 2.4 + lean
            case "switch":
                return 0.9 * phq - 3.0 - lean + 0.1 * (gad - 10)
            case _:
                return 0.8 * phq + 0.5

    def _feasible(self, stage: int, h: Columns) -> Bools:
        del stage
        return np.ones((len(h["phq9"]), 2), dtype=np.bool_)

    def _decided(self, stage: int, h: Columns) -> Bools:
        if stage == 0:
            return np.ones(len(h["phq9"]), dtype=np.bool_)
        return np.asarray(h["phq9"]) >= REMISSION

    def _odds(self, stage: int, h: Columns) -> Floats:
        lots = self.stages[stage].randomised or {}
        one = [lots[action] for action in self.stages[stage].actions]
        return np.tile(np.array(one, dtype=np.float64), (len(h["phq9"]), 1))

    def _best(self) -> tuple[Rule, ...]:
        """Return the rules found by dynamic programming over all scores."""
        ends = self._ends()
        after = np.where(_PHQ >= REMISSION, ends[:2].min(axis=0), ends[2])
        values = [(_middle_chances(a) * after[:, None, :]).sum(axis=-1) for a in _FIRST]
        start = (values[1] < values[0]).astype(int)
        later = (ends[1] < ends[0]).astype(int)

        def first(h: Columns) -> Array:
            place = start[h["gad7"].astype(int), h["phq9"].astype(int) - 10]
            return picked(_FIRST, place)

        def second(h: Columns) -> Array:
            place = later[h["gad7"].astype(int), h["phq9"].astype(int)]
            return picked(_SECOND, place)

        return first, second

    def _ends(self) -> Floats:
        """Return E[Y | G, P8, A2] for augment, switch and remission; shape (3, 22, 28)."""
        gad, phq = np.meshgrid(_GAD, _PHQ, indexing="ij")
        means = np.stack([self._end(a, gad, phq) for a in (*_SECOND, None)])
        return np.asarray((rounded_to(_PHQ, means, 2.5) * _PHQ).sum(axis=-1))

    def exact(self, *actions: str) -> float:
        """Return E[Y^d] of a fixed regime, exact: all scores are whole."""
        return self.exact_value(self.fixed(*actions))

    def exact_value(self, regime: Regime) -> float:
        """Return E[Y^d] of any regime whose rules do not ask the age, as a finite sum."""
        rules = [regime[s.name] for s in self.stages] if isinstance(regime, Mapping) else regime
        gad, base, phq = (a.ravel() for a in np.meshgrid(_GAD, _BASE, _PHQ, indexing="ij"))
        weight = _baseline_chances()[..., None]
        columns: dict[str, Array] = {"gad7": gad, "phq9_start": base}
        columns["action_start"] = first = rules[0](self.history(0, columns))
        weights = [(weight * _middle_chances(a)).ravel() for a in _FIRST]
        reached = np.where(first == "sertraline", *weights)
        columns |= {"phq9_eight_weeks": phq, "remission": phq < REMISSION}
        second = rules[1](self.history(1, columns))
        which = np.where(phq < REMISSION, 2, np.where(second == "augment", 0, 1))
        return float((reached * self._ends()[which, gad.astype(int), phq.astype(int)]).sum())


def _base(gad: Floats) -> Floats:
    return 17 + 0.2 * (gad - 10)


def _middle(action: str, gad: Floats, base: Floats) -> Floats:
    if action == "sertraline":
        return 0.55 * base - 1.5 - 0.18 * (gad - 10)
    return 0.55 * base - 1.9 + 0.22 * (gad - 10)


def _baseline_chances() -> Floats:
    """Return P(G, P0), shape (22, 18)."""
    return np.asarray(
        rounded_to(_GAD, np.array(10.0), 4.0)[:, None] * rounded_to(_BASE, _base(_GAD), 3.0)
    )


def _middle_chances(action: str) -> Floats:
    """Return P(P8 | G, P0, A1), shape (22, 18, 28)."""
    return rounded_to(_PHQ, _middle(action, _GAD[:, None], _BASE[None, :]), 3.2)
