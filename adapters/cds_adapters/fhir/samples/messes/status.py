"""Entries that are wrong, unfinished, withdrawn, over, or not what they seem."""

from cds_adapters.fhir.samples import codes
from cds_adapters.fhir.samples.codes import status_concept
from cds_adapters.fhir.samples.messes.mess import Mess, mess
from cds_adapters.fhir.samples.messes.places import (
    Resources,
    of_type,
    orders,
    prescriptions,
    problems,
    readings,
)


def _reading_status(name: str, status: str, reader: str, *, legal: bool = True) -> Mess:
    """Make the mess that gives every reading this status."""

    def change(resources: Resources) -> None:
        for reading in readings(resources):
            reading["status"] = status

    what = f"Every reading has the status '{status}'."
    return mess(name, what=what, reader=reader, legal=legal)(change)


entered_in_error = _reading_status(
    "entered-in-error", "entered-in-error", "Never uses the readings, under any setting."
)
preliminary = _reading_status(
    "preliminary", "preliminary", "Uses the readings only where the variable allows the status."
)
cancelled = _reading_status(
    "cancelled", "cancelled", "Does not use the readings; the measurement did not happen."
)
bad_status = _reading_status(
    "bad-status",
    "bogus",
    "Does not use the readings and names the code that FHIR does not know.",
    legal=False,
)


@mess(
    "refuted-condition",
    what="The problem that the story is about is refuted.",
    reader="Does not count the problem as present.",
)
def refuted_condition(resources: Resources) -> None:
    """Take the diagnosis back."""
    for problem in problems(resources):
        problem["verificationStatus"] = status_concept(codes.CONDITION_VERIFICATION, "refuted")


@mess(
    "unconfirmed-condition",
    what="The problem that the story is about is unconfirmed.",
    reader="Counts the problem neither as present nor as absent.",
)
def unconfirmed_condition(resources: Resources) -> None:
    """Leave the diagnosis open."""
    for problem in problems(resources):
        problem["verificationStatus"] = status_concept(codes.CONDITION_VERIFICATION, "unconfirmed")


@mess(
    "resolved-condition",
    what="The problem that the story is about was over when it was recorded.",
    reader="Does not count the problem as present from its abatement on.",
)
def resolved_condition(resources: Resources) -> None:
    """End the problem."""
    for problem in problems(resources):
        problem["clinicalStatus"] = status_concept(codes.CONDITION_CLINICAL, "resolved")
        problem["abatementDateTime"] = problem["recordedDate"]


@mess(
    "condition-in-error",
    what="The problem that the story is about was entered in error, and so has no clinical status.",
    reader="Does not count the problem as present.",
)
def condition_in_error(resources: Resources) -> None:
    """Withdraw the entry."""
    for problem in problems(resources):
        del problem["clinicalStatus"]
        problem["verificationStatus"] = status_concept(
            codes.CONDITION_VERIFICATION, "entered-in-error"
        )


@mess(
    "do-not-perform",
    what="Every order for a drug says that the drug is not to be given.",
    reader="Does not see an action in it; the patient is not on the drug.",
)
def do_not_perform(resources: Resources) -> None:
    """Turn orders into prohibitions."""
    for order in prescriptions(resources):
        order["doNotPerform"] = True


@mess(
    "draft-order",
    what="Every order is a draft.",
    reader="Does not see an action in it; nothing was ordered yet.",
)
def draft_order(resources: Resources) -> None:
    """Leave orders unsigned."""
    for order in orders(resources):
        order["status"] = "draft"


@mess(
    "advice-not-done",
    what="Every procedure has the status 'not-done'.",
    reader="Does not see an action in it; the advice was not given.",
)
def advice_not_done(resources: Resources) -> None:
    """Undo what was done."""
    for procedure in of_type(resources, "Procedure"):
        procedure["status"] = "not-done"


STATUS = (
    entered_in_error,
    preliminary,
    cancelled,
    bad_status,
    refuted_condition,
    unconfirmed_condition,
    resolved_condition,
    condition_in_error,
    do_not_perform,
    draft_order,
    advice_not_done,
)
