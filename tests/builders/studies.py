"""Studies of the simulated worlds, small enough to be fitted in a test."""

import json
from collections.abc import Mapping
from typing import Any

from cds_engine.estimate.study import StudyDocument
from cds_engine.simulate import WORLDS, World

Document = dict[str, Any]

KNOWN = {"age": "age", "diabetes": "diabetes"}


def hypertension(n: int = 800, **fields: Any) -> Document:
    """Return the document of a study of the hypertension cohort; given fields replace others."""
    world = WORLDS["hypertension-cohort"]()
    first = {**KNOWN, "sbp": "sbp_three_months", "potassium": "potassium_three_months"}
    second = {**KNOWN, "sbp": "sbp_six_months", "step": "step"}
    return {
        "study": "hypertension-intensification",
        "version": "1.0.0",
        "title": "Intensify treatment of hypertension",
        "aim": {"outcome": "sbp", "at": "P9M", "unit": "mm[Hg]", "better": "lower"},
        "data": {"world": world.name, "n": n, "seed": 7},
        "outcome": {"column": "outcome", "label": "Systolic blood pressure at nine months"},
        "population": world.population,
        "variables": dict(world.variables),
        "actions": dict(world.actions),
        "safeguards": [{"never": ["add_ace"], "when": "potassium > 5.5", "because": "Potassium."}],
        "stages": [
            {"stage": "three_months", "when": "10 <= weeks_in_care < 23",
             "choose": ["add_ace", "keep"], "history": first, "taken": "action_three_months",
             "tailoring": ["sbp", "potassium"],
             "at": {"weeks_in_care": 13, "hypertension": True, "step": "none"}},
            {"stage": "six_months", "when": "23 <= weeks_in_care < 36",
             "choose": ["add_ccb", "keep"], "history": second, "taken": "action_six_months",
             "tailoring": ["sbp", "age", "step"],
             "at": {"weeks_in_care": 26, "hypertension": True}},
        ],
        "method": {"learner": "q-learning", "bootstrap": 100},
        "seed": 1,
        **fields,
    }  # fmt: skip


def study_of(document: Mapping[str, Any]) -> StudyDocument:
    """Return the checked study."""
    return StudyDocument.model_validate_json(json.dumps(document))


def world_of(study: StudyDocument) -> World:
    """Return the world that a study draws its data from."""
    return WORLDS[study.data.world]()  # type: ignore[union-attr]
