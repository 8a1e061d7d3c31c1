"""The rule bundle as it is written: the fields of ``bundle.yaml`` and ``cases.yaml``."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from cds_engine.vocabulary.action import Action
from cds_engine.vocabulary.variable import Name, Variable

REGIME = r"^[a-z0-9][a-z0-9-]{0,63}$"
VERSION = r"^(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})(-[0-9A-Za-z.-]{1,32})?$"

Outcome = Literal["recommendation", "equipoise", "no_change", "not_applicable", "abstention"]
Text = Annotated[str, Field(min_length=1, max_length=4_000)]
Number = int | float


class Document(BaseModel):
    """What all parts of a rule bundle share: nothing unknown, nothing coerced, no change later."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)


class Aim(Document):
    """What the regime is meant to do, in one line."""

    outcome: str = Field(description="The outcome that is optimised; a variable, or its name.")
    at: str | None = Field(None, description="When it is measured: so long after `from`.")
    counts_from: Literal["decision", "start"] = Field(
        "decision",
        alias="from",
        description="What a replay counts `at` from: each decision, or a patient's first one.",
    )
    unit: str | None = Field(None, description="Its unit.")
    better: Literal["lower", "higher"] = Field(description="Which direction is better.")
    because: Text | None = None


class Safeguard(Document):
    """Actions that must never be advised while a criterion is not definitely false."""

    never: tuple[Name, ...] = Field(description="The actions that are removed.", min_length=1)
    when: Text = Field(description="Removed where this is true or unknown.")
    because: Text = Field(description="The harm that is prevented.")


class Branch(Document):
    """One line of a decision list: a criterion, and what follows where it holds."""

    when: Text | None = Field(None, description="The criterion; the first line that holds speaks.")
    otherwise: Name | tuple[Name, ...] | None = Field(
        None, description="The action of the last line, for everybody who is left."
    )
    then: Name | tuple[Name, ...] | None = Field(
        None, description="The action, or several that are equally good (equipoise)."
    )
    rule: "tuple[Branch, ...] | None" = Field(None, description="A nested decision list.")
    abstain: Text | None = Field(None, description="Why no advice is given here, in words.")
    instead: Name | tuple[Name, ...] | None = Field(
        None, description="What to advise where a safeguard removes the action, in order."
    )
    because: Text | None = Field(None, description="The clinical reason, shown on the card.")


class Support(Document):
    """For whom the data could compare an action with the others at all."""

    actions: tuple[Name, ...] = Field(min_length=1)
    when: Text = Field(description="Outside it the action is not compared.")
    because: Text | None = None


class Score(Document):
    """The linear score of one action."""

    constant: Number = 0
    terms: dict[Name, Number] = Field(
        default_factory=dict,
        description="Variable -> weight; a yes-or-no variable counts as 1 or 0.",
    )


class Scores(Document):
    """A rule by scores: the feasible action with the best score is advised."""

    scores: dict[Name, Score] = Field(min_length=2)
    better: Literal["higher", "lower"] = "higher"
    margin: Annotated[float, Field(ge=0)] = Field(
        0, description="Actions whose score is within this of the best are in equipoise."
    )
    unit: str | None = Field(None, description="The unit of the scores, for reading.")
    support: tuple[Support, ...] = ()
    because: Text | None = None


class Benefit(Document):
    """How much better an action did than another among patients of one group."""

    action: Name
    against: Name = Field(description="The best other action of the group.")
    estimate: Number = Field(description="Above 0 where the action is better, in the unit.")
    low: Number
    high: Number


class Group(Document):
    """Patients whom the data behind the rule counted together."""

    when: Text = Field(description="The first group whose criterion holds is the patient's.")
    n: dict[Name, Annotated[int, Field(ge=0)]] = Field(
        description="Action -> how many such patients took it.", min_length=1
    )
    benefit: Benefit | None = None


class Contrasts(Document):
    """How sure the differences between linear scores are."""

    reference: Name = Field(description="The action whose score is subtracted from the others.")
    coefficients: tuple[tuple[Name, Text], ...] = Field(
        description="Action and term (`constant` or a variable) of each row of the covariance.",
        min_length=1,
    )
    centres: dict[Name, Number] = Field(
        default_factory=dict,
        description="Variable -> value that is subtracted from it first; 0 unless given.",
    )
    covariance: tuple[tuple[Number, ...], ...] = Field(
        description="Lower triangle, row by row, of the coefficients of centred terms."
    )


class Estimates(Document):
    """What the data said of patients like this one: shown beside the advice, never deciding it."""

    outcome: Text = Field(description="What the benefit is a difference of.")
    unit: str = ""
    level: Annotated[float, Field(gt=0, lt=1)] = 0.95
    method: Text = Field(description="How benefit and interval were estimated.")
    groups: tuple[Group, ...] = ()
    contrasts: Contrasts | None = Field(None, description="For a rule by scores.")


class Stage(Document):
    """One decision point: for whom it is, what can be chosen, and the rule."""

    stage: Name
    title: str | None = None
    when: Text = Field(description="Who is at this stage; stages must exclude each other.")
    choose: tuple[Name, ...] = Field(description="The treatment options here.", min_length=1)
    rule: tuple[Branch, ...] | Scores
    estimates: Estimates | None = Field(None, description="Where the rule was fitted.")


class About(Document):
    """Who stands behind the bundle, whom it is for and what it must not be used for."""

    developer: Text | None = None
    contact: Text | None = None
    funding: Text | None = None
    intended_use: Text | None = None
    intended_users: Text | None = None
    cautions: tuple[Text, ...] = ()
    time_criticality: Text | None = None
    citations: tuple[Text, ...] = ()
    evidence_date: str | None = Field(None, description="Release date of the evidence.")


class BundleDocument(Document):
    """One regime in one version, as its authors write it."""

    regime: Annotated[str, Field(pattern=REGIME)]
    version: Annotated[str, Field(pattern=VERSION)]
    title: Text
    description: Text | None = None
    source: str | None = Field(None, description="Absolute URL of the guideline or study.")
    effective_from: str | None = Field(None, description="First day it may be served.")
    review_by: str | None = Field(None, description="Day after which cards say it needs review.")
    expires: str | None = Field(None, description="Day after which it abstains.")
    aim: Aim
    about: About | None = None
    population: Text = Field(description="For whom the regime is; must be definitely true.")
    variables: dict[Name, Variable] = Field(min_length=1, max_length=500)
    actions: dict[Name, Action] = Field(min_length=1, max_length=100)
    safeguards: tuple[Safeguard, ...] = ()
    stages: tuple[Stage, ...] = Field(min_length=1, max_length=50)
    evidence: dict[str, object] | None = None


class Expectation(Document):
    """What a case must come to; fields that are absent are not checked."""

    outcome: Outcome
    stage: str | None = None
    action: str | None = None
    candidates: tuple[str, ...] | None = None
    reason: str | None = Field(None, description="A reason code that must be among the reasons.")
    missing: tuple[str, ...] | None = Field(
        None, description="The missing inputs that the reasons must name, exactly."
    )


class Case(Document):
    """One patient with the decision that the authors expect."""

    case: Text
    given: dict[Name, bool | Number | str | None] = Field(
        default_factory=dict, description="Variable -> value; null or left out means missing."
    )
    deceased: bool = False
    expect: Expectation


class CasesDocument(Document):
    """``cases.yaml``: values that every case starts from, and the cases."""

    defaults: dict[Name, bool | Number | str | None] = Field(default_factory=dict)
    cases: tuple[Case, ...]
