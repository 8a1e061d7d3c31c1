"""A diabetes cohort: three second-line drugs, contraindications, and confounding by indication.

Adults with type 2 diabetes get one of an SGLT2 inhibitor, a DPP-4 inhibitor and a sulfonylurea;
the outcome is HbA1c at six months. All numbers are made up. With z ~ N(0, 1) afresh, k =
`confounding`, [x] = x rounded to the digits of its variable, and h = X - 8.4::

    age    = [62 + 9 z], 18..100
    bmi    = [31 + 4 z], 15..60                          one decimal
    egfr   = [82 - 0.8 (age - 62) + 16 z], 5..150
    F      ~ Bernoulli(expit(-1.8 + 0.05 (age - 62)))    heart failure
    X      = [8.4 + 0.9 z], 5.0..15.0                    HbA1c now, one decimal
    A      ~ softmax over the feasible ones of
             sglt2i        lean + k (1.0 h + 0.9 F)
             dpp4i         k (-0.3 h + 0.03 (age - 62))
             sulfonylurea  0
    Y      = [8.4 + 0.8 h + 0.3 F + 0.01 (age - 62) + b(A) + 0.6 z], 4.0..18.0   one decimal
             b(sglt2i)       = -0.90 - 0.25 h - 0.012 (egfr - 82) - 0.03 (bmi - 31)
             b(dpp4i)        = -0.65 + 0.05 h - 0.015 (age - 62)
             b(sulfonylurea) = -0.70 - 0.10 h + 0.012 (age - 62)

Feasible: sglt2i where egfr >= 30, dpp4i without heart failure, sulfonylurea always. Patients with
the highest HbA1c get the SGLT2 inhibitor, so that the crude difference against the sulfonylurea
has the wrong sign. `confounding` 0 withholds that; 3 makes positivity poor.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cds_engine.simulate import vocabulary as v
from cds_engine.simulate.noise import Floats
from cds_engine.simulate.normal import expit, rounded_to
from cds_engine.simulate.stage import Aim, Stage, Visit
from cds_engine.simulate.world import (
    Array,
    Bools,
    Choose,
    Columns,
    Rule,
    World,
    decide,
    picked,
    recorded,
)

LOWEST_EGFR = 30
"""Below it, in mL/min/1.73 m2, an SGLT2 inhibitor is not feasible."""

_ACTIONS = ("sglt2i", "dpp4i", "sulfonylurea")


@dataclass(frozen=True, kw_only=True)
class DiabetesParameters:
    """How clinicians choose.

    Attributes:
        confounding: how strongly what is recorded moves treatment; 0 withholds it.
        lean: log odds of the SGLT2 inhibitor against the sulfonylurea for the average patient.
    """

    confounding: float = 1.0
    lean: float = 0.0


class DiabetesCohort(World):
    """The world; the equations are in the module's docstring."""

    name: ClassVar[str] = "diabetes-cohort"
    title: ClassVar[str] = "A cohort with diabetes and three second-line drugs"
    aim: ClassVar[Aim] = Aim(outcome="hba1c", at="P26W", unit="%", better="lower")
    population: ClassVar[str] = "age >= 18 and diabetes"
    always: ClassVar[tuple[str, ...]] = ("diabetes",)
    variables: ClassVar[Mapping[str, v.Document]] = {
        "age": v.AGE,
        "diabetes": v.on_the_list("Type 2 diabetes", "snomed|44054006"),
        "heart_failure": v.on_the_list("Heart failure", "snomed|84114007"),
        "bmi": v.measured("Body mass index", "loinc|39156-5", "kg/m2", 1, (10, 90), within="P1Y"),
        "egfr": v.measured("Estimated glomerular filtration rate", "loinc|33914-3",
                           "mL/min/{1.73_m2}", 0, (1, 200), within="P1Y"),
        "hba1c": v.measured("HbA1c", "loinc|4548-4", "%", 1, (3, 25), within="P90D"),
        "step": v.STEP,
    }  # fmt: skip
    actions: ClassVar[Mapping[str, v.Document]] = {
        "sglt2i": v.ordered("Add empagliflozin 10 mg once daily", "drug", "MedicationRequest",
                            "rxnorm|1545653", "empagliflozin", "10 mg by mouth once daily"),
        "dpp4i": v.ordered("Add saxagliptin 5 mg once daily", "drug", "MedicationRequest",
                           "rxnorm|857974", "saxagliptin", "5 mg by mouth once daily"),
        "sulfonylurea": v.ordered("Add glipizide 5 mg once daily", "drug", "MedicationRequest",
                                  "rxnorm|4821", "glipizide", "5 mg by mouth once daily"),
    }  # fmt: skip
    codes: ClassVar[Mapping[str, str]] = v.displays(
        actions,
        {
            "snomed|44054006": "Diabetes mellitus type 2 (disorder)",
            "snomed|84114007": "Heart failure (disorder)",
            "loinc|39156-5": "Body mass index (BMI) [Ratio]",
            "loinc|33914-3": "Glomerular filtration rate/1.73 sq M.predicted [Volume Rate/Area] "
                             "in Serum or Plasma by Creatinine-based formula (MDRD)",
            "loinc|4548-4": "Hemoglobin A1c/Hemoglobin.total in Blood",
        },
    )  # fmt: skip
    visits: ClassVar[tuple[Visit, ...]] = (
        Visit(week=0, stage="second_line",
              readings={"bmi": "bmi", "egfr": "egfr", "hba1c": "hba1c"}),
        Visit(week=26, readings={"hba1c": "outcome"}),
    )  # fmt: skip
    _normal = ("age", "bmi", "egfr", "hba1c", "outcome")
    _uniform = ("heart_failure",)

    def __init__(self, parameters: DiabetesParameters | None = None) -> None:
        self.parameters = parameters or DiabetesParameters()
        names = ("age", "bmi", "egfr", "heart_failure", "hba1c")
        self.stages = (
            Stage(
                name="second_line", title="The second drug", week=0, variables=names,
                columns={name: name for name in names}, actions=_ACTIONS,
                feasible={"sglt2i": f"egfr >= {LOWEST_EGFR}", "dpp4i": "not heart_failure"},
                otherwise="sulfonylurea", when="step is none",
            ),
        )  # fmt: skip

    def _unfold(self, noise: Columns, choose: Choose) -> dict[str, Array]:
        columns: dict[str, Array] = {}
        columns["age"] = age = recorded(62 + 9 * noise["age"], 0, 18, 100)
        columns["bmi"] = bmi = recorded(31 + 4 * noise["bmi"], 1, 15, 60)
        columns["egfr"] = egfr = recorded(_kidney(age) + 16 * noise["egfr"], 0, 5, 150)
        columns["heart_failure"] = failing = noise["heart_failure"] < _failing(age)
        columns["hba1c"] = hba1c = recorded(8.4 + 0.9 * noise["hba1c"], 1, 5, 15)
        taken = decide(self, 0, columns, choose)
        mean = 8.4 + 0.8 * (hba1c - 8.4) + 0.3 * failing + 0.01 * (age - 62)
        blips = _blips(age, bmi, egfr, hba1c)
        chosen = np.select([taken == action for action in _ACTIONS], list(blips.T), 0.0)
        columns["outcome"] = recorded(mean + chosen + 0.6 * noise["outcome"], 1, 4, 18)
        return columns

    def _feasible(self, stage: int, h: Columns) -> Bools:
        del stage
        failing = np.asarray(h["heart_failure"], dtype=np.bool_)
        return np.column_stack([h["egfr"] >= LOWEST_EGFR, ~failing, np.ones_like(failing)])

    def _odds(self, stage: int, h: Columns) -> Floats:
        del stage
        k, high = self.parameters.confounding, h["hba1c"] - 8.4
        failing = np.asarray(h["heart_failure"], dtype=np.float64)
        first = self.parameters.lean + k * (high + 0.9 * failing)
        second = k * (-0.3 * high + 0.03 * (h["age"] - 62))
        return np.exp(np.column_stack([first, second, np.zeros(len(high))]))

    def _best(self) -> tuple[Rule, ...]:
        """Return the rule that takes the feasible action with the lowest b(A)."""

        def only(h: Columns) -> Array:
            blips = _blips(h["age"], h["bmi"], h["egfr"], h["hba1c"])
            possible = np.where(self._feasible(0, h), blips, np.inf)
            return picked(_ACTIONS, possible.argmin(axis=1))

        return (only,)

    def exact(self, *actions: str) -> float:
        """Return E[Y^d] of one drug for all; who cannot have it gets the sulfonylurea.

        A sum over all whole ages and eGFRs; HbA1c and BMI are independent of them and enter
        linearly. Only that their clipping, and the outcome's, never happens is left out.
        """
        self._check(actions)
        (action,) = actions
        ages, rates = np.arange(18.0, 101.0), np.arange(5.0, 151.0)
        age, egfr = np.meshgrid(ages, rates, indexing="ij")
        weight = rounded_to(ages, np.array(62.0), 9.0)[:, None]
        weight = weight * rounded_to(rates, _kidney(ages), 16.0)
        failing = _failing(age)
        blips = _blips(age, 31.0, egfr, 8.4)
        wanted, other = blips[..., _ACTIONS.index(action)], blips[..., 2]
        match action:
            case "sglt2i":
                share = np.where(egfr >= LOWEST_EGFR, 1.0, 0.0)
            case "dpp4i":
                share = 1 - failing
            case _:
                share = np.ones_like(age)
        mean = 8.4 + 0.3 * failing + 0.01 * (age - 62) + share * wanted + (1 - share) * other
        return float((weight * mean).sum())


def _kidney(age: Floats) -> Floats:
    return 82 - 0.8 * (age - 62)


def _failing(age: Floats) -> Floats:
    return expit(-1.8 + 0.05 * (age - 62))


def _blips(age: Floats, bmi: Floats | float, egfr: Floats, hba1c: Floats | float) -> Floats:
    """Return b(a) for every action, on a last axis of their order."""
    high, old = hba1c - 8.4, age - 62
    return np.stack(
        [
            -0.90 - 0.25 * high - 0.012 * (egfr - 82) - 0.03 * (bmi - 31),
            -0.65 + 0.05 * high - 0.015 * old,
            -0.70 - 0.10 * high + 0.012 * old,
        ],
        axis=-1,
    )
