"""A hypertension cohort with time-varying confounding: sicker patients get intensified.

Everybody is advised on living when care begins. At three months a clinician adds an ACE inhibitor
or keeps treatment as it is, at six months amlodipine or keeps it; the outcome is the systolic
pressure at nine months. Severity U is not recorded. All numbers are made up. With z ~ N(0, 1)
afresh, k = `confounding`, [x] = x rounded to the digits of its variable::

    age   = [60 + 9 z], 18..110           diabetes ~ Bernoulli(0.3)          U = z
    P1    = [4.4 + 0.4 z], 2.5..8.0                                  potassium, one decimal
    S1    = [150 + 0.3 (age - 60) + 4 diabetes + 5 U + 9 z], 60..280
    A1    : add_ace feasible iff P1 <= 5.5;
            logit P(add_ace) = lean + k (0.12 (S1 - 150) - 1.2 (P1 - 4.4) + 0.3 diabetes) + hidden U
    S2    = [60 + 0.6 S1 + 3 U + A1 b1 + 7 z], 60..280
            b1 = -(6 + 0.5 (S1 - 150)) + 8 (P1 - 4.4)
    P2    = [4.4 + 0.6 (P1 - 4.4) + 0.2 A1 + 0.25 z], 2.5..8.0
    A2    : logit P(add_ccb) = lean + k (0.12 (S2 - 148) + 0.5 A1 + 0.3 diabetes) + hidden U
    Y     = [60 + 0.6 S2 + 3 U + A2 b2 + 7 z], 60..280
            b2 = -(3 + 0.3 (S2 - 144)) + 0.25 (age - 60) + A1

(A = 1 where a drug is added.) U moves S1, S2 and Y but, while `hidden` is 0, not the clinician, who
sees pressures. So treatment is explained by what is recorded. Yet A1 acts on Y through S2, and S2
shares U with Y: a regression that adjusts for S2 blocks the one and opens the other. The crude
difference of adding a drug against keeping has the wrong sign. `confounding` 0 withholds the
confounding; 3 makes positivity poor; `hidden` above 0 adds an unmeasured confounder.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cds_engine.simulate import vocabulary as v
from cds_engine.simulate.noise import Floats
from cds_engine.simulate.normal import cdf, density, mean_above_zero
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

HIGHEST_POTASSIUM = 5.5
"""Above it, in mmol/L, an ACE inhibitor is not feasible."""


@dataclass(frozen=True, kw_only=True)
class HypertensionParameters:
    """How clinicians choose, and how strong the effects are.

    Attributes:
        confounding: how strongly what is recorded moves treatment; 0 withholds it.
        lean: log odds of adding a drug for the average patient.
        hidden: log odds of adding a drug for each standard deviation of unrecorded severity.
        effect: factor on both treatment effects; 0 is a world without any.
    """

    confounding: float = 1.0
    lean: float = 0.0
    hidden: float = 0.0
    effect: float = 1.0


class HypertensionCohort(World):
    """The world; the equations are in the module's docstring."""

    name: ClassVar[str] = "hypertension-cohort"
    title: ClassVar[str] = "A cohort with hypertension in which sicker patients get intensified"
    aim: ClassVar[Aim] = Aim(outcome="sbp", at="P9M", unit="mm[Hg]", better="lower")
    population: ClassVar[str] = "age >= 18 and hypertension"
    always: ClassVar[tuple[str, ...]] = ("hypertension",)
    variables: ClassVar[Mapping[str, v.Document]] = {
        "age": v.AGE,
        "hypertension": v.on_the_list("Hypertension", "snomed|59621000"),
        "diabetes": v.on_the_list("Type 2 diabetes", "snomed|44054006"),
        "sbp": v.measured("Systolic blood pressure", "loinc|8480-6", "mm[Hg]", 0, (60, 280)),
        "potassium": v.measured("Potassium", "loinc|6298-4", "mmol/L", 1, (1.5, 9)),
        "step": v.STEP,
        "weeks_in_care": {
            "from": "procedure", "label": "Whole weeks since the advice on living",
            "codes": ["snomed|443402002"], "take": "elapsed", "unit": "wk",
        },
    }  # fmt: skip
    actions: ClassVar[Mapping[str, v.Document]] = {
        "add_ace": v.ordered("Add lisinopril 10 mg once daily", "drug", "MedicationRequest",
                             "rxnorm|314076", "lisinopril 10 MG Oral Tablet",
                             "10 mg by mouth once daily"),
        "add_ccb": v.ordered("Add amlodipine 5 mg once daily", "drug", "MedicationRequest",
                             "rxnorm|197361", "amlodipine 5 MG Oral Tablet",
                             "5 mg by mouth once daily"),
        "keep": v.unchanged("Keep the treatment as it is"),
    }  # fmt: skip
    codes: ClassVar[Mapping[str, str]] = v.displays(
        actions,
        {
            "snomed|59621000": "Essential hypertension (disorder)",
            "snomed|44054006": "Diabetes mellitus type 2 (disorder)",
            "snomed|443402002": "Lifestyle education regarding hypertension (procedure)",
            "loinc|8480-6": "Systolic blood pressure",
            "loinc|6298-4": "Potassium [Moles/volume] in Blood",
        },
    )
    visits: ClassVar[tuple[Visit, ...]] = (
        Visit(week=0, procedures=("weeks_in_care",)),
        Visit(week=13, stage="three_months",
              readings={"sbp": "sbp_three_months", "potassium": "potassium_three_months"}),
        Visit(week=26, stage="six_months",
              readings={"sbp": "sbp_six_months", "potassium": "potassium_six_months"}),
        Visit(week=39, readings={"sbp": "outcome"}),
    )  # fmt: skip
    _normal = ("age", "severity", "potassium_three_months", "sbp_three_months", "sbp_six_months",
               "potassium_six_months", "outcome")  # fmt: skip
    _uniform = ("diabetes",)

    def __init__(self, parameters: HypertensionParameters | None = None) -> None:
        self.parameters = parameters or HypertensionParameters()
        known = {"age": "age", "diabetes": "diabetes"}
        self.stages = (
            Stage(
                name="three_months", title="Three months", week=13,
                variables=("age", "diabetes", "sbp", "potassium"),
                columns={**known, "sbp": "sbp_three_months",
                         "potassium": "potassium_three_months"},
                actions=("add_ace", "keep"), otherwise="keep",
                feasible={"add_ace": f"potassium <= {HIGHEST_POTASSIUM}"},
                when="weeks_in_care >= 10 and weeks_in_care < 23",
            ),
            Stage(
                name="six_months", title="Six months", week=26,
                variables=("age", "diabetes", "sbp", "potassium", "step"),
                columns={**known, "sbp": "sbp_six_months",
                         "potassium": "potassium_six_months", "step": "step"},
                actions=("add_ccb", "keep"), otherwise="keep",
                when="weeks_in_care >= 23 and weeks_in_care < 36",
            ),
        )  # fmt: skip

    def _unfold(self, noise: Columns, choose: Choose) -> dict[str, Array]:
        columns: dict[str, Array] = {}
        u = noise["severity"]
        columns["age"] = age = recorded(60 + 9 * noise["age"], 0, 18, 110)
        columns["diabetes"] = diabetes = noise["diabetes"] < 0.3
        p1 = recorded(4.4 + 0.4 * noise["potassium_three_months"], 1, 2.5, 8.0)
        s1 = 150 + 0.3 * (age - 60) + 4 * diabetes + 5 * u + 9 * noise["sbp_three_months"]
        columns["sbp_three_months"] = s1 = recorded(s1, 0, 60, 280)
        columns["potassium_three_months"] = p1
        a1 = self._choose(0, columns, choose, u, "add_ace")
        columns["step"] = np.where(a1, "add_ace", "none").astype(object)
        s2 = 60 + 0.6 * s1 + 3 * u + a1 * self._first_blip(s1, p1) + 7 * noise["sbp_six_months"]
        columns["sbp_six_months"] = s2 = recorded(s2, 0, 60, 280)
        p2 = 4.4 + 0.6 * (p1 - 4.4) + 0.2 * a1 + 0.25 * noise["potassium_six_months"]
        columns["potassium_six_months"] = recorded(p2, 1, 2.5, 8.0)
        a2 = self._choose(1, columns, choose, u, "add_ccb")
        y = 60 + 0.6 * s2 + 3 * u + a2 * self._second_blip(s2, age, a1) + 7 * noise["outcome"]
        columns["outcome"] = recorded(y, 0, 60, 280)
        return columns

    def _choose(
        self, k: int, columns: dict[str, Array], choose: Choose, u: Floats, drug: str
    ) -> Bools:
        """Add the action of stage ``k``; what is hidden from the records goes when it is made."""
        columns["_severity"] = u
        taken = decide(self, k, columns, choose)
        del columns["_severity"]
        return np.asarray(taken == drug, dtype=np.bool_)

    def _first_blip(self, sbp: Floats, potassium: Floats) -> Floats:
        return self.parameters.effect * (-(6 + 0.5 * (sbp - 150)) + 8 * (potassium - 4.4))

    def _second_blip(self, sbp: Floats, age: Floats, on_ace: Array | int) -> Floats:
        blip = -(3 + 0.3 * (sbp - 144)) + 0.25 * (age - 60) + on_ace
        return np.asarray(self.parameters.effect * blip, dtype=np.float64)

    def _feasible(self, stage: int, h: Columns) -> Bools:
        possible = np.ones((len(h["sbp"]), 2), dtype=np.bool_)
        if stage == 0:
            possible[:, 0] = h["potassium"] <= HIGHEST_POTASSIUM
        return possible

    def _odds(self, stage: int, h: Columns) -> Floats:
        p = self.parameters
        seen = 0.3 * np.asarray(h["diabetes"], dtype=np.float64)
        if stage == 0:
            seen = seen + 0.12 * (h["sbp"] - 150) - 1.2 * (h["potassium"] - 4.4)
        else:
            seen = seen + 0.12 * (h["sbp"] - 148) + 0.5 * (h["step"] == "add_ace")
        logit = p.lean + p.confounding * seen
        if p.hidden:
            logit = logit + p.hidden * self._severity(h)
        return np.column_stack([np.exp(logit), np.ones(len(logit))])

    def _severity(self, h: Columns) -> Floats:
        if "_severity" not in h:
            raise SimulationError(
                "with `hidden` above 0 the choice depends on what no table holds, so there is no "
                "propensity given the history; set `hidden` to 0"
            )
        return h["_severity"]

    def _best(self) -> tuple[Rule, ...]:
        """Return the rules that minimise the conditional means.

        Stage 2 adds the drug iff b2 < 0. Stage 1 compares E[0.6 S2 + min(0, b2(S2, a))] where S2
        given H1 is normal: U given S1 has mean 5 e / 106 and variance 81 / 106, with e the
        deviation of S1 from its mean given age and diabetes. That S1 and S2 are whole numbers is
        left out here: it moves the cut by far less than one mmHg.
        """

        def second(h: Columns) -> Array:
            blip = self._second_blip(h["sbp"], h["age"], h["step"] == "add_ace")
            return picked(("keep", "add_ccb"), blip < 0)

        def first(h: Columns) -> Array:
            values = [self._after_first(h, a) for a in (1, 0)]
            better = (values[0] < values[1]) & (h["potassium"] <= HIGHEST_POTASSIUM)
            return picked(("keep", "add_ace"), better)

        return first, second

    def _after_first(self, h: Columns, a: int) -> Floats:
        """Return E[0.6 S2 + min(0, b2) | H1, A1 = a], the part of E[Y] that depends on a."""
        off = h["sbp"] - (150 + 0.3 * (h["age"] - 60) + 4 * np.asarray(h["diabetes"], dtype=float))
        mean = 60 + 0.6 * h["sbp"] + 3 * 5 * off / 106
        mean = mean + a * self._first_blip(h["sbp"], h["potassium"])
        sd = np.sqrt(9 * 81 / 106 + 49 + 1 / 12)
        effect = self.parameters.effect
        if effect <= 0:
            return np.asarray(0.6 * mean, dtype=np.float64)
        gain = mean_above_zero(-self._second_blip(mean, h["age"], a), effect * 0.3 * sd)
        return np.asarray(0.6 * mean - gain, dtype=np.float64)

    def exact(self, *actions: str) -> float:
        """Return E[Y^d] of a fixed regime; whoever cannot have ``add_ace`` keeps.

        S1 and P1 are independent, everything is linear but the feasible set, and P1 is feasible
        up to 5.55 before rounding. Only that clipping never happens is left out.
        """
        self._check(actions)
        a1, a2 = float(actions[0] == "add_ace"), float(actions[1] == "add_ccb")
        effect = self.parameters.effect
        z = (HIGHEST_POTASSIUM + 0.05 - 4.4) / 0.4
        treated = a1 * float(cdf(z))
        # E[(P1 - 4.4) 1(feasible)]; rounding shifts no mean but that of the half step at the edge
        tilt = -a1 * 0.4 * float(density(z))
        s1 = 150 + 4 * 0.3
        first = effect * (-(6 + 0.5 * (s1 - 150)) * treated + 8 * tilt)
        s2 = 60 + 0.6 * s1 + first
        second = effect * (-(3 + 0.3 * (s2 - 144)) + treated)
        return 60 + 0.6 * s2 + a2 * second
