"""A SMART as it is written: stages, arms, response, who is randomised again, and what is assumed.

A place in a trial is a *path*: the arms and answers so far, such as ``coaching > non-responders >
gym``. Those who continue without another randomisation end at ``coaching > responders``.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from cds_engine.vocabulary.variable import Name

Text = Annotated[str, Field(min_length=1, max_length=4_000)]
PathText = Annotated[str, Field(min_length=1, max_length=1_000)]
Number = int | float
Share = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, lt=1)]
Correlation = Annotated[float, Field(gt=-1, lt=1)]
Who = Literal["all", "responders", "non-responders"]


class Part(BaseModel):
    """What all parts of a design share: nothing unknown, nothing coerced, no change later."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class OutcomeDocument(Part):
    """The outcome of the trial."""

    column: Text = Field("outcome", description="Its column in the table.")
    label: Text = Field(description="What a reader calls it.")
    unit: str = ""
    kind: Literal["continuous", "binary"] = "continuous"
    better: Literal["higher", "lower"] = "higher"


class ResponseDocument(Part):
    """Who counts as a responder to what was given so far."""

    column: Text = Field("responder", description="Yes-or-no column of the table that says it.")
    when: Text | None = Field(
        None, description="The same as a criterion over the table; checked where it can be."
    )
    label: Text = Field(description="The criterion in words.")


class RandomisationDocument(Part):
    """One randomisation: who is randomised, to which arms."""

    after: PathText | None = Field(None, description="The path before it; none at the first stage.")
    who: Who = "all"
    arms: dict[Name, Share] = Field(
        min_length=2, description="Arm -> probability, or its share of a ratio such as 1 : 1."
    )


class StageDocument(Part):
    """One time at which somebody is randomised."""

    stage: Name
    title: Text | None = None
    column: Text | None = Field(None, description="The table's column; `action_<stage>`.")
    randomise: tuple[RandomisationDocument, ...] = Field(min_length=1)


class AssumptionsDocument(Part):
    """The outcome model that simulation and sample size rest on."""

    response: dict[PathText, Rate] = Field(
        default_factory=dict, description="Path -> probability of response there."
    )
    mean: dict[PathText, Number] = Field(
        description="Path of each end -> mean outcome, or probability of a binary one."
    )
    sd: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None, description="Standard deviation of the outcome within every path; not if binary."
    )
    rho: Correlation = Field(
        0.0, description="Correlation of outcome and baseline covariate within every path."
    )
    response_rho: Correlation = Field(
        0.0, description="Correlation of that covariate with the latent score behind response."
    )


class DesignDocument(Part):
    """A sequential multiple assignment randomised trial (SMART)."""

    design: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    title: Text
    description: Text | None = None
    identifier: Text = Field("id", description="The table's column with the patient's id.")
    outcome: OutcomeDocument
    stages: tuple[StageDocument, ...] = Field(min_length=1, max_length=10)
    response: dict[PathText, ResponseDocument] = Field(
        default_factory=dict, description="Path -> who responds there."
    )
    labels: dict[Name, Text] = Field(default_factory=dict, description="Arm -> its name in words.")
    assume: AssumptionsDocument | None = None
