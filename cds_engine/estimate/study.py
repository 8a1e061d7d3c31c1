"""A study is a document: the data, the vocabulary that serving uses too, the stages and the method.

Whoever has the study file and the data gets the same rule bundle, byte for byte.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, ValidationError, field_validator

from cds_engine.bundle.document import (
    REGIME,
    VERSION,
    About,
    Aim,
    Branch,
    Case,
    Document,
    Number,
    Safeguard,
    Scores,
    Text,
)
from cds_engine.bundle.faults import document_faults
from cds_engine.bundle.yaml import as_json, read_yaml, unsafe_values
from cds_engine.errors import Fault, RuleBundleError, StudyError
from cds_engine.estimate.deaths import MOST_DEATHS
from cds_engine.vocabulary.action import Action
from cds_engine.vocabulary.variable import Name, Variable

PATIENT, STAGE, TAKEN, OUTCOME = "key.patient", "decision.stage", "taken.action", "outcome.value"
"""The columns of a replay's table that are a patient, a stage, the action taken and Y."""


class WorldData(Document):
    """Data drawn from a simulated world, whose truth is known."""

    world: str = Field(description="The world's name.")
    n: Annotated[int, Field(ge=1)]
    seed: int = 0


class TableData(Document):
    """Data in a file, CSV or Parquet, beside the study file."""

    file: str = Field(description="Path, relative to the study file.")
    layout: Literal["wide", "long", "decisions"] = Field(
        "wide", description="One row a patient, one a stage, or a replay's decision points."
    )
    stage: str = Field("stage", description="Of a long table: the column with the stage.")
    untold: Literal["weight", "leave-out"] = Field(
        "weight",
        description="Of a replay's table: weight for patients whose action is not told at some "
        "stage, by the history until then, or leave them out.",
    )


class OutcomeColumn(Document):
    """Where Y stands in the data."""

    column: str = Field(description=f"Of a replay's table `{OUTCOME}` if absent.")
    label: Text = Field(description="What a reader calls the outcome.")
    missing: Literal["refuse", "weight"] = "refuse"
    deaths: Annotated[float, Field(ge=0, le=1)] = Field(
        MOST_DEATHS,
        description="Of a replay's table: the largest share of patients who may have died before "
        "the outcome; of the dead there is none.",
    )


class Split(Document):
    """Some of a learned stage's patients, who have their own options, such as one arm's."""

    stage: Name
    title: str | None = None
    when: Text = Field(description="Whose part it is; the parts must exclude each other.")
    choose: tuple[Name, ...] = Field(min_length=2)


class LearnedStage(Document):
    """A stage whose rule is learned."""

    stage: Name
    title: str | None = None
    when: Text = Field(description="Who is at the stage when it is served.")
    choose: tuple[Name, ...] = Field(min_length=2)
    history: dict[Name, str] = Field(
        description="Variable -> column of the data: what H_k is made of. Or a list of variables "
        "whose columns have their names."
    )
    taken: str = Field(
        description="The column with the action taken, by the actions' names. Of a replay's table "
        f"`{TAKEN}` if absent."
    )
    decides: Text | None = Field(
        None, description="Who has a decision here in the data; all who have an action if absent."
    )
    randomised: dict[Name, Annotated[float, Field(gt=0)]] | None = Field(
        None, description="Relative probabilities by design; absent in a cohort."
    )
    reward: str | None = Field(None, description="The column with the stage's reward, if any.")
    main: tuple[Name, ...] | None = Field(
        None, description="Variables with an effect of their own; the whole history if absent."
    )
    tailoring: tuple[Name, ...] = Field(
        description="Variables that the advice may depend on.", min_length=1
    )
    at: dict[Name, bool | Number | str] = Field(
        default_factory=dict,
        description="Values of a patient at the stage, from which cases are drawn.",
    )
    split: tuple[Split, ...] = Field(
        (), description="Parts with options of their own; each becomes a stage that is served."
    )
    because: Text | None = None

    @field_validator("history", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        listed = isinstance(value, (list, tuple)) and all(isinstance(one, str) for one in value)
        return {name: name for name in value} if listed else value


class WrittenStage(Document):
    """A stage whose rule is not learned, such as waiting until the next decision."""

    stage: Name
    title: str | None = None
    when: Text
    choose: tuple[Name, ...] = Field(min_length=1)
    rule: tuple[Branch, ...] | Scores


def _sort_of_stage(value: Any) -> str:
    written = "rule" in value if isinstance(value, dict) else isinstance(value, WrittenStage)
    return "written" if written else "learned"


def _sort_of_data(value: Any) -> str:
    world = "world" in value if isinstance(value, dict) else isinstance(value, WorldData)
    return "world" if world else "table"


AnyStage = Annotated[
    Annotated[LearnedStage, Tag("learned")] | Annotated[WrittenStage, Tag("written")],
    Discriminator(_sort_of_stage),
]
"""A stage with a ``rule`` is written, any other is learned."""
AnyData = Annotated[
    Annotated[WorldData, Tag("world")] | Annotated[TableData, Tag("table")],
    Discriminator(_sort_of_data),
]


class Method(Document):
    """How the regime is learned and valued; every number that changes digits stands here."""

    learner: Literal["q-learning", "dwols", "a-learning", "policy-tree", "boosting"] = Field(
        description="`boosting` is Q-learning with gradient boosting, distilled to a tree."
    )
    pseudo_outcome: Literal["max_q", "regret"] = "max_q"
    depth: Annotated[int, Field(ge=1, le=4)] = 2
    min_leaf: Annotated[int, Field(ge=1)] = 50
    propensity: Literal["known", "estimate"] = "estimate"
    folds: Annotated[int, Field(ge=2, le=20)] = 5
    bootstrap: Annotated[int, Field(ge=100, le=20_000)] = 1000
    level: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    margin: Annotated[float, Field(ge=0)] = Field(
        0, description="Scores this close are in equipoise: the smallest difference that matters."
    )
    digits: Annotated[int, Field(ge=3, le=12)] = Field(
        6, description="Significant digits with which coefficients are written."
    )
    support: Annotated[float, Field(ge=0, lt=0.5)] = Field(
        0.01, description="Share of each action's patients left outside at each end of its range."
    )
    distil_loss: Annotated[float, Field(ge=0)] | None = Field(
        None, description="Of boosting: the largest loss of value at which the tree is accepted."
    )

    def unused(self) -> Iterator[str]:
        """Yield what was stated and has no meaning for the learner."""
        trees = self.learner in {"policy-tree", "boosting"}
        without = {
            "pseudo_outcome": self.learner not in {"q-learning", "boosting"},
            "depth": not trees,
            "min_leaf": not trees,
            "margin": trees,
            "bootstrap": trees,
            "digits": trees,
            "distil_loss": self.learner != "boosting",
        }
        for name, idle in without.items():
            if idle and name in self.model_fields_set:
                yield f"`{name}` has no meaning for the learner {self.learner}; remove it"
        if self.learner == "boosting" and self.distil_loss is None:
            yield "boosting is distilled to a tree: state the loss that is accepted (distil_loss)"


class StudyDocument(Document):
    """One study file."""

    study: Annotated[str, Field(pattern=REGIME, description="The regime that it exports.")]
    version: Annotated[str, Field(pattern=VERSION)]
    title: Text
    description: Text | None = None
    effective_from: str | None = None
    review_by: str | None = None
    expires: str | None = None
    about: About | None = None
    aim: Aim
    data: AnyData
    id: str = "id"
    weights: str | None = None
    outcome: OutcomeColumn
    population: Text
    variables: dict[Name, Variable] = Field(min_length=1)
    actions: dict[Name, Action] = Field(min_length=2)
    safeguards: tuple[Safeguard, ...] = ()
    stages: tuple[AnyStage, ...] = Field(min_length=1)
    method: Method
    seed: int = 0
    cases: tuple[Case, ...] = Field((), description="Cases of the authors, beside the drawn ones.")
    adjusted_for: tuple[Text, ...] = Field(
        (), description="Why the history is enough to compare the actions, cause by cause."
    )

    @property
    def learned(self) -> tuple[LearnedStage, ...]:
        """The stages whose rules are learned, in order of time."""
        return tuple(stage for stage in self.stages if isinstance(stage, LearnedStage))


def read_study(name: str, data: bytes) -> StudyDocument:
    """Return the study that a file holds.

    Raises:
        StudyError: with every fault of the file, each with its place and the cure.
    """
    try:
        content = read_yaml(name, data)
    except RuleBundleError as error:
        raise StudyError(f"study ({name})", error.faults) from None
    faults = list(unsafe_values(content))
    if not faults:
        content = _of_a_replay(content)
        try:
            study = StudyDocument.model_validate_json(as_json(content))
            faults = list(_contradictions(study))
            if not faults:
                return study
        except ValidationError as error:
            found = document_faults(error, content)
            faults = [Fault(_TAG.sub(r"\1", one.place), one.problem) for one in found]
    raise StudyError(f"study ({name})", faults)


def _of_a_replay(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a file holds with what is the same in every replay's table: its columns."""
    data = content.get("data")
    if not isinstance(data, dict) or data.get("layout") != "decisions":
        return content
    filled = {"id": PATIENT, **content}
    if isinstance(content.get("outcome"), dict):
        filled["outcome"] = {"column": OUTCOME, **content["outcome"]}
    if isinstance(content.get("stages"), list):
        filled["stages"] = [
            {"taken": TAKEN, **one} if isinstance(one, dict) and "rule" not in one else one
            for one in content["stages"]
        ]
    return filled


def _contradictions(study: StudyDocument) -> Iterator[Fault]:
    """Yield what each field by itself allows and together has no meaning."""
    yield from (Fault("method", problem) for problem in study.method.unused())
    learned = study.learned
    if not learned:
        yield Fault("stages", "no stage is learned; leave `rule` out of the one that is")
    trees = study.method.learner in {"policy-tree", "boosting"}
    for at, stage in enumerate(study.stages):
        if trees and isinstance(stage, LearnedStage) and stage.split:
            yield Fault(f"stages[{at}].split", "a tree cannot have parts; learn scores, or make "
                        "each part a stage of its own")  # fmt: skip
    if isinstance(study.data, TableData):
        yield from _misread(study, study.data)


def _misread(study: StudyDocument, data: TableData) -> Iterator[Fault]:
    """Yield what the layout of the table leaves no choice in, and was chosen otherwise."""
    taken = {at: one.taken for at, one in enumerate(study.stages) if isinstance(one, LearnedStage)}
    if data.layout == "decisions":
        fixed = {"id": (study.id, PATIENT)}
        fixed |= {f"stages[{at}].taken": (found, TAKEN) for at, found in taken.items()}
        if "stage" in data.model_fields_set:
            fixed["data.stage"] = (data.stage, STAGE)
        for place, (found, right) in fixed.items():
            if found != right:
                field = place.rpartition(".")[2]
                yield Fault(place, f"is {found}, but a replay's table has it in {right}; write "
                            f"`{field}: {right}`, or leave `{field}` out")  # fmt: skip
        return
    if data.layout == "long" and len(set(taken.values())) > 1:
        found = ", ".join(sorted(set(taken.values())))
        yield Fault("stages", "a long table has one column with the action taken, so `taken` must "
                    f"be the same at every stage; found {found}")  # fmt: skip
    own = {"data.untold": (data, "untold"), "outcome.deaths": (study.outcome, "deaths")}
    for place, (part, name) in own.items():
        if name in part.model_fields_set:
            yield Fault(place, f"has no meaning in a {data.layout} table, which does not tell it "
                        "apart; remove it")  # fmt: skip


_TAG = re.compile(r"(stages\[\d+\]|data)\.(?:learned|written|world|table)")
"""Which sort of a stage or of data it is, in the place of a fault; no field of the file."""
