"""An action is a treatment option: what is advised, what is ordered, how it is recognised."""

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from cds_engine.errors import Fault
from cds_engine.vocabulary.code import code_fault, plain_code

OrderResource = Literal["MedicationRequest", "ServiceRequest"]
ActionKind = Literal["drug", "dose", "procedure", "lifestyle", "monitor", "referral"]


class Order(BaseModel):
    """The draft order that carries an action out."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    resource: OrderResource = Field(description="The FHIR resource that orders it.")
    code: str = Field(description="What is ordered, as system|code.")
    text: str | None = Field(None, description="What a person reads; the action's label if absent.")
    dosage: str | None = Field(None, description="The dosage in words (MedicationRequest only).")


class Action(BaseModel):
    """One treatment option of the catalogue."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    label: str = Field(description="What a clinician reads on the card.", min_length=1)
    kind: ActionKind | None = Field(None, description="What sort of option it is.")
    change: bool = Field(
        True, description="False where choosing it leaves treatment as it is (no card)."
    )
    order: Order | None = Field(None, description="The draft order offered with the card.")
    seen_as: tuple[str, ...] = Field(
        (), description="Codes by which the action is recognised in a record."
    )
    because: str | None = Field(None, description="Why this option exists, in words.")

    @field_validator("seen_as")
    @classmethod
    def _codes_are_comparable(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(plain_code, codes))


def action_faults(name: str, action: Action) -> Iterator[Fault]:
    """Yield everything wrong with an action, each with its place."""
    place = f"actions.{name}"
    if name == "none":
        yield Fault(place, "`none` is the empty course and cannot be an action's name")
    for code in action.seen_as:
        problem = code_fault(code)
        if problem:
            yield Fault(f"{place}.seen_as", problem)
    if action.order:
        problem = code_fault(action.order.code)
        if problem:
            yield Fault(f"{place}.order.code", problem)
        if action.order.dosage and action.order.resource != "MedicationRequest":
            yield Fault(f"{place}.order.dosage", "only a MedicationRequest has a dosage")
    if not action.change and action.order:
        yield Fault(f"{place}.order", "an action that changes nothing orders nothing; remove it")
