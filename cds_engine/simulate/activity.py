"""The physical-activity SMART of the textbook story, with self-efficacy as tailoring variable.

Adults who sit too much are randomised to digital coaching or group classes. After eight weeks
responders, who walk strictly more than 10 % more steps a day, continue. Non-responders are
randomised again: from coaching to a gym membership or motivational interviewing, from classes to a
home exercise kit or an individual trainer. All numbers are made up. With z ~ N(0, 1) afresh::

    age           = [50 + 8 z], 18..90
    E             = [50 + 12 z], 0..100                       self-efficacy at baseline
    S0            = [5200 - 20 (age - 50) + 900 z], 0..30000  steps/day at baseline
    A1            ~ coaching with probability `coaching`, else classes
    S8            = [S0 + r(A1) + s(A1) (E - 50) + 700 z], 0..30000
    response      : 10 S8 > 11 S0
    A2            ~ gym (after coaching) or kit (after classes) with probability `first_option`,
                    else interview or trainer; non-responders only
    Y             = [S8 + 100 + (non-responder) (g(A2) + t(A2) (E - 50)) + 800 z], 0..60000

where [x] is x rounded to a whole number. Randomisation makes the lots known: there is no
confounding. People of high self-efficacy gain from being left to themselves (coaching, gym, kit),
those of low self-efficacy from company (classes, interview, trainer).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from cds_engine.simulate import vocabulary as v
from cds_engine.simulate.noise import Floats
from cds_engine.simulate.normal import cdf, density
from cds_engine.simulate.stage import Aim, Stage, Visit
from cds_engine.simulate.world import (
    Array,
    Bools,
    Choose,
    Columns,
    Rule,
    SimulationError,
    World,
    decide,
    picked,
    recorded,
)

_SECOND = ("gym", "interview", "kit", "trainer")
_AFTER = {"coaching": ("gym", "interview"), "classes": ("kit", "trainer")}
_MOST = 30_000


def _effects(**effects: tuple[float, float]) -> Mapping[str, tuple[float, float]]:
    return MappingProxyType(effects)


@dataclass(frozen=True, kw_only=True)
class ActivityParameters:
    """The numbers of the equations.

    Attributes:
        coaching: probability of coaching at the first randomisation.
        first_option: probability of gym and of kit at the second.
        effects: action -> (effect in steps/day at self-efficacy 50, effect of each point above).
    """

    coaching: float = 0.5
    first_option: float = 0.5
    effects: Mapping[str, tuple[float, float]] = field(
        default_factory=lambda: _effects(
            coaching=(450.0, 16.0), classes=(500.0, -14.0), gym=(500.0, 32.0),
            interview=(650.0, -24.0), kit=(400.0, 24.0), trainer=(550.0, -20.0),
        )
    )  # fmt: skip


class ActivitySmart(World):
    """The world; the equations are in the module's docstring."""

    name: ClassVar[str] = "activity-smart"
    title: ClassVar[str] = "A SMART of coaching or classes for activity, then more of it"
    aim: ClassVar[Aim] = Aim(outcome="steps", at="P24W", unit="/d", better="higher")
    population: ClassVar[str] = "age >= 18 and sedentary"
    always: ClassVar[tuple[str, ...]] = ("sedentary",)
    variables: ClassVar[Mapping[str, v.Document]] = {
        "age": v.AGE,
        "sedentary": v.on_the_list("Sedentary lifestyle", "snomed|415510005"),
        "self_efficacy": v.measured(
            "Self-efficacy for exercise, 0 to 100", f"{v.LOCAL}|exercise-self-efficacy",
            "{score}", 0, (0, 100), within="P1Y", take="earliest",
        ),
        "steps": v.measured(
            "Steps a day now", "loinc|41950-7", "/d", 0, (0, 100_000), within="P14D",
            units={"{steps}/d": 1},
        ),
        "steps_before": v.measured(
            "Steps a day at the start", "loinc|41950-7", "/d", 0, (0, 100_000), within="P70D",
            take="earliest", units={"{steps}/d": 1},
        ),
        "step": v.STEP,
        "weeks_on_step": v.WEEKS_ON_STEP,
        "responder": {"derive": "steps > 1.1 * steps_before",
                      "label": "Strictly more than 10 % more steps a day"},
    }  # fmt: skip
    actions: ClassVar[Mapping[str, v.Document]] = {
        "coaching": v.ordered("Start digital coaching for physical activity", "lifestyle",
                              "ServiceRequest", "snomed|304507003",
                              "Digital coaching for physical activity"),
        "classes": v.ordered("Start group exercise classes", "lifestyle", "ServiceRequest",
                             f"{v.LOCAL}|group-exercise-classes", "Group exercise classes"),
        "gym": v.ordered("Add a gym membership", "lifestyle", "ServiceRequest",
                         "snomed|310882002", "Gym membership"),
        "interview": v.ordered("Add motivational interviewing", "lifestyle", "ServiceRequest",
                               f"{v.LOCAL}|motivational-interviewing",
                               "Motivational interviewing"),
        "kit": v.ordered("Add a home exercise kit", "lifestyle", "ServiceRequest",
                         f"{v.LOCAL}|home-exercise-kit", "Home exercise kit"),
        "trainer": v.ordered("Add an individual trainer", "lifestyle", "ServiceRequest",
                             f"{v.LOCAL}|individual-trainer", "Individual trainer"),
        "go_on": v.unchanged("Go on as before"),
    }  # fmt: skip
    codes: ClassVar[Mapping[str, str]] = v.displays(
        actions,
        {
            "snomed|415510005": "Sedentary lifestyle (finding)",
            f"{v.LOCAL}|exercise-self-efficacy": "Self-efficacy for exercise",
            "loinc|41950-7": "Number of steps in 24 hour Measured",
        },
    )
    visits: ClassVar[tuple[Visit, ...]] = (
        Visit(week=0, stage="start",
              readings={"self_efficacy": "self_efficacy", "steps": "steps_start"}),
        Visit(week=8, stage="eight_weeks", readings={"steps": "steps_eight_weeks"}),
        Visit(week=24, readings={"steps": "outcome"}),
    )  # fmt: skip
    _normal = ("age", "self_efficacy", "steps_start", "steps_eight_weeks", "outcome")

    def __init__(self, parameters: ActivityParameters | None = None) -> None:
        self.parameters = parameters or ActivityParameters()
        p, first = self.parameters.coaching, self.parameters.first_option
        self.stages = (
            Stage(
                name="start", title="Start", week=0,
                variables=("age", "self_efficacy", "steps"),
                columns={"age": "age", "self_efficacy": "self_efficacy", "steps": "steps_start"},
                actions=("coaching", "classes"), when="step is none",
                randomised={"coaching": p, "classes": 1 - p},
            ),
            Stage(
                name="eight_weeks", title="Eight weeks, not a responder", week=8,
                variables=("age", "self_efficacy", "steps_before", "steps", "step", "responder"),
                columns={"age": "age", "self_efficacy": "self_efficacy", "step": "action_start",
                         "steps_before": "steps_start", "steps": "steps_eight_weeks",
                         "responder": "responder"},
                actions=_SECOND,
                feasible={"gym": "step is coaching", "interview": "step is coaching",
                          "kit": "step is classes", "trainer": "step is classes"},
                decides="not responder",
                when="step in [coaching, classes] and weeks_on_step >= 8",
                randomised={"gym": first, "interview": 1 - first,
                            "kit": first, "trainer": 1 - first},
            ),
        )  # fmt: skip

    def embedded(self) -> dict[str, tuple[Rule, ...]]:
        """Return the four embedded regimes by name, such as ``coaching, gym``."""
        return {f"{a}, {b}": self.fixed(a, b) for a, pair in _AFTER.items() for b in pair}

    def _unfold(self, noise: Columns, choose: Choose) -> dict[str, Array]:
        columns: dict[str, Array] = {}
        columns["age"] = age = recorded(50 + 8 * noise["age"], 0, 18, 90)
        columns["self_efficacy"] = recorded(50 + 12 * noise["self_efficacy"], 0, 0, 100)
        e = columns["self_efficacy"] - 50
        before = recorded(5200 - 20 * (age - 50) + 900 * noise["steps_start"], 0, 0, _MOST)
        columns["steps_start"] = before
        first = decide(self, 0, columns, choose)
        rise = self._effect(first, e, ("coaching", "classes")) + 700 * noise["steps_eight_weeks"]
        columns["steps_eight_weeks"] = steps = recorded(before + rise, 0, 0, _MOST)
        columns["responder"] = 10 * steps > 11 * before
        second = decide(self, 1, columns, choose)
        gain = self._effect(second, e, _SECOND)
        columns["outcome"] = recorded(steps + 100 + gain + 800 * noise["outcome"], 0, 0, 60_000)
        return columns

    def _effect(self, taken: Array, e: Floats, actions: tuple[str, ...]) -> Floats:
        """Return the effect of the actions taken; zero for whoever has none."""
        total = np.zeros(len(e))
        for action in actions:
            level, slope = self.parameters.effects[action]
            total += (taken == action) * (level + slope * e)
        return total

    def _feasible(self, stage: int, h: Columns) -> Bools:
        if stage == 0:
            return np.ones((len(h["age"]), 2), dtype=np.bool_)
        coached = h["step"] == "coaching"
        return np.column_stack([coached, coached, ~coached, ~coached])

    def _decided(self, stage: int, h: Columns) -> Bools:
        if stage == 0:
            return np.ones(len(h["age"]), dtype=np.bool_)
        return ~np.asarray(h["responder"], dtype=np.bool_)

    def _odds(self, stage: int, h: Columns) -> Floats:
        lots = self.stages[stage].randomised or {}
        one = [lots[action] for action in self.stages[stage].actions]
        return np.tile(np.array(one, dtype=np.float64), (len(h["age"]), 1))

    def _best(self) -> tuple[Rule, ...]:
        """Return the rules that maximise the exact conditional means.

        Stage 1 compares E[S8 + gain of the better second action x P(no response)].
        """

        def gains(e: Floats, first: str) -> Floats:
            return np.column_stack([self._effect_of(a, e) for a in _AFTER[first]])

        def second(h: Columns) -> Array:
            e = h["self_efficacy"] - 50
            of = {a: gains(e, a).argmax(axis=1) for a in _AFTER}
            return picked(_SECOND, np.where(h["step"] == "coaching", of["coaching"],
                                            2 + of["classes"]))  # fmt: skip

        def first(h: Columns) -> Array:
            e, before = h["self_efficacy"] - 50, h["steps"]
            # rounded(x) <= floor(1.1 S0), as S8 is whole
            edge = np.floor(11 * before / 10) + 0.5 - before
            means = []
            for action in _AFTER:
                rise = self._effect_of(action, e)
                silent = cdf((edge - rise) / 700)
                means.append(rise + gains(e, action).max(axis=1) * silent)
            return picked(tuple(_AFTER), means[1] > means[0])

        return first, second

    def _effect_of(self, action: str, e: Floats) -> Floats:
        level, slope = self.parameters.effects[action]
        return level + slope * e

    def exact(self, *actions: str) -> float:
        """Return E[Y^d] of an embedded regime such as ``exact("coaching", "gym")``.

        With D = S8 - 1.1 S0 normal, E[(E - 50) 1(D <= 0)] = -cov(E, D) phi(mu/sd) / sd. Rounding
        is taken as adding 1/12 to variances, and clipping, which touches fewer than one patient
        in ten thousand, as absent: the value is right to about 0.2 steps/day.
        """
        self._check(actions)
        first, second = actions
        if second not in _AFTER[first]:
            raise SimulationError(
                f"{second} does not follow {first}; use {' or '.join(_AFTER[first])}"
            )
        (r, s), (g, t) = self.parameters.effects[first], self.parameters.effects[second]
        var_e, var_age = 144 + 1 / 12, 64 + 1 / 12
        var_s0 = 400 * var_age + 900**2 + 1 / 12
        mean = r - 0.1 * 5200
        sd = float(np.sqrt(s * s * var_e + 0.01 * var_s0 + 700**2 + 1 / 12))
        silent = float(cdf(-mean / sd))
        tilt = -s * var_e * float(density(mean / sd)) / sd
        return 5200 + r + 100 + g * silent + t * tilt

    def response_rate(self, first: str) -> float:
        """Return P(response) after a first action, as exact as ``exact``."""
        r, s = self.parameters.effects[first]
        var: Any = s * s * (144 + 1 / 12) + 0.01 * (400 * (64 + 1 / 12) + 900**2) + 700**2
        return float(cdf((r - 520) / np.sqrt(var)))
