"""One set of 28 rules over 13 variables, written once and given to every engine that is compared.

Each rule is a conjunction of tests on single variables, so that a decision table can hold it too.
The first rule that holds speaks; the last one holds for everybody.
"""

import json
import random
from collections.abc import Mapping
from typing import Any

from cds_engine.bundle.model import RuleBundle
from cds_engine.bundle.read import read_bundle

Test = tuple[str, ...]
"""``(">=", "140")``, ``("between", "130", "140")`` (upper end excluded), ``("is", "male")``."""

YES, NO = ("yes",), ("no",)
RULES: tuple[tuple[Mapping[str, Test], str], ...] = (
    ({"pregnant": YES, "sbp": (">=", "160")}, "refer"),
    ({"pregnant": YES, "sbp": (">=", "140")}, "labetalol"),
    ({"pregnant": YES}, "monitor"),
    ({"sbp": (">=", "180"), "egfr": ("<", "30")}, "refer"),
    ({"dbp": (">=", "120")}, "refer"),
    ({"potassium": (">=", "6")}, "refer"),
    ({"sbp": (">=", "180"), "step": ("is", "none"), "age": ("<", "80")}, "dual"),
    ({"dbp": (">=", "110"), "step": ("is", "none"), "age": ("<", "80")}, "dual"),
    ({"step": ("is", "none"), "sbp": ("<", "130"), "dbp": ("<", "80")}, "monitor"),
    ({"step": ("is", "none"), "sbp": ("between", "130", "140"), "diabetes": NO, "age": ("<", "65")},
     "lifestyle"),
    ({"step": ("is", "none"), "diabetes": YES, "egfr": (">=", "30"), "potassium": ("<", "5.5")},
     "ace"),
    ({"step": ("is", "none"), "smoker": YES, "bmi": (">=", "30")}, "lifestyle"),
    ({"step": ("is", "none"), "age": (">=", "80"), "sbp": ("<", "150")}, "monitor"),
    ({"step": ("is", "none"), "age": (">=", "55")}, "ccb"),
    ({"step": ("is", "none"), "sex": ("is", "female"), "age": ("<", "50")}, "ccb"),
    ({"step": ("is", "none"), "potassium": ("<", "5")}, "ace"),
    ({"step": ("is", "lifestyle"), "weeks": ("<", "12")}, "monitor"),
    ({"step": ("is", "lifestyle"), "sbp": (">=", "140"), "age": ("<", "55"), "egfr": (">=", "30")},
     "ace"),
    ({"step": ("is", "lifestyle"), "sbp": (">=", "140")}, "ccb"),
    ({"step": ("is", "lifestyle"), "hba1c": (">=", "7.5"), "diabetes": NO}, "refer"),
    ({"step": ("is", "ace"), "potassium": (">=", "5.5")}, "ccb"),
    ({"step": ("is", "ace"), "weeks": (">=", "4"), "sbp": ("between", "140", "160")}, "dual"),
    ({"step": ("is", "ace"), "weeks": (">=", "4"), "sbp": (">=", "160"), "egfr": (">=", "45")},
     "triple"),
    ({"step": ("is", "ccb"), "weeks": (">=", "4"), "sbp": (">=", "140"), "egfr": (">=", "30"),
      "potassium": ("<", "5")}, "dual"),
    ({"step": ("is", "dual"), "weeks": (">=", "4"), "sbp": (">=", "140"), "bmi": ("<", "40")},
     "triple"),
    ({"step": ("is", "dual"), "hba1c": (">=", "9"), "diabetes": YES}, "refer"),
    ({"step": ("is", "triple"), "weeks": (">=", "8"), "sbp": (">=", "140")}, "refer"),
    ({}, "monitor"),
)  # fmt: skip

NUMBERS: Mapping[str, tuple[str, int, tuple[float, float]]] = {
    "age": ("a", 0, (58, 16)),
    "sbp": ("mm[Hg]", 0, (142, 18)),
    "dbp": ("mm[Hg]", 0, (85, 11)),
    "potassium": ("mmol/L", 1, (4.3, 0.5)),
    "egfr": ("mL/min", 0, (78, 24)),
    "hba1c": ("%", 1, (6.2, 1.2)),
    "bmi": ("kg/m2", 1, (29, 5)),
    "weeks": ("wk", 0, (14, 9)),
}
"""Number -> its unit, its digits, and the mean and spread of the patients that are drawn."""

BOOLEANS: Mapping[str, float] = {"pregnant": 0.03, "diabetes": 0.3, "smoker": 0.25}
"""Yes-or-no variable -> how often it is yes."""

ACTIONS = ("monitor", "lifestyle", "ace", "ccb", "labetalol", "dual", "triple", "refer")
STEPS: Mapping[str, float] = {
    "none": 0.3, "lifestyle": 0.2, "ace": 0.2, "ccb": 0.15, "dual": 0.1, "triple": 0.05,
}  # fmt: skip
"""Where patients stand in their treatment -> how often."""

SEXES = ("female", "male")
VARIABLES = (*NUMBERS, *BOOLEANS, "sex", "step")


def the_bundle() -> RuleBundle:
    """Return the rules as a rule bundle of one stage."""
    return read_bundle({"bundle.yaml": json.dumps(document()).encode()})


def document() -> dict[str, Any]:
    """Return the rules as the content of a ``bundle.yaml``."""
    branches = [{"when": criterion(tests), "then": action} for tests, action in RULES[:-1]]
    return {
        "regime": "rules-28",
        "version": "1.0.0",
        "title": "Rules that every engine is measured with",
        "aim": {"outcome": "sbp", "better": "lower"},
        "population": "true",
        "variables": _variables(),
        "actions": {n: {"label": n, "change": n != "monitor"} for n in ACTIONS},
        "stages": [
            {
                "stage": "every_visit",
                "when": "true",
                "choose": list(ACTIONS),
                "rule": [*branches, {"otherwise": RULES[-1][1]}],
            }
        ],
    }


def criterion(tests: Mapping[str, Test]) -> str:
    """Write a conjunction in the language of criteria."""
    return " and ".join(_criterion(name, test) for name, test in tests.items())


def draw_state(random_state: random.Random, missing: float = 0.0) -> dict[str, Any]:
    """Draw a patient; each input is missing with the given probability."""
    state: dict[str, Any] = {
        name: round(max(0.0, random_state.gauss(*shape)), digits) + 0.0
        for name, (_, digits, shape) in NUMBERS.items()
    }
    state |= {name: random_state.random() < share for name, share in BOOLEANS.items()}
    step = random_state.choices(list(STEPS), list(STEPS.values()))[0]
    state |= {"sex": random_state.choice(SEXES), "step": step}
    return {n: None if random_state.random() < missing else v for n, v in state.items()}


def _variables() -> dict[str, Any]:
    observed = {"from": "observation", "codes": ["loinc|8480-6"]}
    variables: dict[str, Any] = {
        name: {**observed, "unit": unit, "digits": digits}
        for name, (unit, digits, _) in NUMBERS.items()
    }
    for name in BOOLEANS:
        variables[name] = {"from": "condition", "codes": ["snomed|1"], "absent": False}
    variables["sex"] = {"from": "patient.sex"}
    answers = {f"loinc|{at}": step for at, step in enumerate(STEPS)}
    variables["step"] = {**observed, "answers": answers}
    return variables


def _criterion(name: str, test: Test) -> str:
    match test:
        case ("yes",):
            return name
        case ("no",):
            return f"not {name}"
        case ("is", label):
            return f"{name} is {label}"
        case ("between", low, high):
            return f"{low} <= {name} < {high}"
        case (op, bound):
            return f"{name} {op} {bound}"
    raise ValueError(test)
