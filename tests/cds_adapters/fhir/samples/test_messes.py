"""Every mess changes exactly what it says, in a copy, and nothing else."""

from collections.abc import Iterator
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class
from hypothesis import assume, given
from hypothesis import strategies as st

from cds_adapters.fhir.samples import (
    MESSES,
    STORIES,
    MessDoesNotApplyError,
    SamplePatient,
    make_mess,
    sample_patient,
    to_ndjson,
)

BP = "Observation.component."
BP_QUANTITY = BP + "valueQuantity."
LAB = "Observation.valueQuantity."
DRUG = "MedicationRequest.medicationCodeableConcept"
LABELLED = (
    *("Condition.category", "Condition.code", "Encounter.type", "Observation.category"),
    *("Observation.code", "Observation.component.code", "Procedure.code", DRUG),
)
REFERRING = {
    *(f"{kind}.subject" for kind in ("Condition", "Encounter", "Observation")),
    *(f"{kind}.encounter" for kind in ("Observation", "Procedure", "MedicationRequest")),
    *("Procedure.subject", "MedicationRequest.subject", "MedicationRequest.reasonReference"),
}
KINDS = ("Condition", "Encounter", "MedicationRequest", "Observation", "Patient", "Procedure")

# name -> what changes (+ added, - taken away, ~ other value), in how many resources of its story
CHANGES: dict[str, tuple[set[str], int]] = {
    "bp-without-unit": ({f"- {BP_QUANTITY}{key}" for key in ("unit", "system", "code")}, 3),
    "bp-text-unit-only": (
        {f"~ {BP_QUANTITY}unit", f"- {BP_QUANTITY}system", f"- {BP_QUANTITY}code"},
        3,
    ),
    "unit-contradiction": ({f"~ {LAB}unit"}, 3),
    "https-ucum-system": ({f"~ {BP_QUANTITY}system"}, 3),
    "potassium-meq": ({f"~ {LAB}unit", f"~ {LAB}code"}, 3),
    "mgdl-for-mmoll": ({f"~ {LAB}unit", f"~ {LAB}code", f"~ {LAB}value"}, 3),
    "egfr-without-area": ({f"~ {LAB}unit", f"~ {LAB}code"}, 3),
    "steps-annotated-unit": ({f"~ {LAB}unit", f"~ {LAB}code"}, 14),
    "steps-bare-integer": ({"+ Observation.valueInteger", "- Observation.valueQuantity"}, 14),
    "comparator": ({f"+ {BP_QUANTITY}comparator"}, 3),
    "value-range": ({f"- {BP}valueQuantity", f"+ {BP}valueRange"}, 3),
    "data-absent": ({f"- {BP}valueQuantity", f"+ {BP}dataAbsentReason"}, 3),
    "implausible": ({f"~ {BP_QUANTITY}value"}, 3),
    "number-as-string": ({f"~ {BP_QUANTITY}value"}, 3),
    "number-too-large": ({f"~ {BP_QUANTITY}value"}, 3),
    "nan-like": ({f"~ {BP_QUANTITY}value"}, 3),
    "date-only": ({"~ Observation.effectiveDateTime"}, 3),
    "month-only": ({"~ Observation.effectiveDateTime"}, 3),
    "year-only-birth": ({"~ Patient.birthDate"}, 1),
    "missing-effective-time": ({"- Observation.effectiveDateTime"}, 3),
    "after-death": ({"+ Patient.deceasedDateTime"}, 1),
    "utc-offsets": ({"~ Observation.effectiveDateTime", "~ Observation.issued"}, 3),
    "no-offset": ({"~ Observation.effectiveDateTime"}, 3),
    "future-dated": ({"~ Observation.effectiveDateTime"}, 1),
    "stale": (
        {f"~ Observation.{key}" for key in ("effectiveDateTime", "issued", "meta.lastUpdated")},
        3,
    ),
    "before-first-observation": (
        {"~ MedicationRequest.authoredOn", "~ MedicationRequest.meta.lastUpdated"},
        1,
    ),
    "repeated-row": ({"+ Observation"}, 1),
    "repeated-reading": ({"+ Observation"}, 1),
    "contradictory-reading": ({"+ Observation"}, 1),
    "amended": ({"+ Observation"}, 1),
    "huge": ({"+ Observation"}, 1000),
    "reversed-order": (set(), 0),
    "shuffled-order": (set(), 0),
    "entered-in-error": ({"~ Observation.status"}, 3),
    "preliminary": ({"~ Observation.status"}, 3),
    "cancelled": ({"~ Observation.status"}, 3),
    "bad-status": ({"~ Observation.status"}, 3),
    "refuted-condition": ({"~ Condition.verificationStatus.coding.code"}, 1),
    "unconfirmed-condition": ({"~ Condition.verificationStatus.coding.code"}, 1),
    "resolved-condition": (
        {"~ Condition.clinicalStatus.coding.code", "+ Condition.abatementDateTime"},
        1,
    ),
    "condition-in-error": (
        {"- Condition.clinicalStatus", "~ Condition.verificationStatus.coding.code"},
        1,
    ),
    "do-not-perform": ({"+ MedicationRequest.doNotPerform"}, 1),
    "draft-order": ({"~ MedicationRequest.status"}, 1),
    "advice-not-done": ({"~ Procedure.status"}, 1),
    "other-codes": (
        {
            f"~ {kind}.code.{key}"
            for kind in ("Condition", "Observation")
            for key in ("coding.code", "coding.display", "text")
        },
        10,
    ),
    "local-code": (
        {
            f"{change} {part}code.coding.{key}"
            for part in ("Observation.", BP)
            for change, key in (("~", "code"), ("~", "system"), ("-", "display"))
        },
        3,
    ),
    "local-code-first": ({"~ Observation.code.coding", f"~ {BP}code.coding"}, 3),
    "pressure-in-two": ({"- Observation", "+ Observation"}, 9),
    "medication-reference": (
        {f"- {DRUG}", "+ MedicationRequest.medicationReference", "+ Medication"},
        2,
    ),
    "medication-contained": (
        {
            f"- {DRUG}",
            "+ MedicationRequest.medicationReference",
            "+ MedicationRequest.contained",
        },
        1,
    ),
    "drug-text-only": ({f"- {DRUG}.coding"}, 1),
    "unknown-drug-code": (
        {f"~ {DRUG}.coding.code", f"~ {DRUG}.coding.display", f"~ {DRUG}.text"},
        1,
    ),
    "wrong-patient": ({"~ Observation.subject.reference"}, 1),
    "missing-subject": ({"- Observation.subject"}, 3),
    "conditional-reference": ({"+ Observation.performer", "+ Encounter.participant"}, 6),
    "urn-uuid": ({f"{change} {kind}" for change in "+-" for kind in KINDS}, 38),
    "absolute-reference": ({f"~ {field}.reference" for field in REFERRING}, 18),
    "contained": ({"+ Observation.contained", "+ Observation.performer"}, 3),
    "hostile-strings": (
        {f"~ {field}.{key}" for field in LABELLED for key in ("coding.display", "text")}
        | {"~ Encounter.class.display", "~ Patient.name.family"}
        | {"~ MedicationRequest.dosageInstruction.text"},
        19,
    ),
    "modifier-extension": ({"+ Observation.modifierExtension"}, 3),
    "unknown-fields": (
        {f"+ {kind}.{key}" for kind in KINDS for key in ("vendorScore", "vendorData")},
        19,
    ),
    "category-as-object": ({"~ Condition.category", "~ Observation.category"}, 13),
}


def differences(old: Any, new: Any, path: str) -> Iterator[str]:
    """Yield what changed between two JSON values, lists of one length item by item."""
    if isinstance(old, dict) and isinstance(new, dict):
        yield from (f"- {path}.{key}" for key in old.keys() - new.keys())
        yield from (f"+ {path}.{key}" for key in new.keys() - old.keys())
        for key in old.keys() & new.keys():
            yield from differences(old[key], new[key], f"{path}.{key}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for one, other in zip(old, new, strict=True):
            yield from differences(one, other, path)
    elif old != new:
        yield f"~ {path}"


def changes(before: SamplePatient, after: SamplePatient) -> tuple[set[str], int]:
    """Return what changed and in how many resources, pairing them by type and id."""
    remaining = list(after.resources)
    found: list[set[str]] = []
    for old in before.resources:
        kind = old["resourceType"]
        twins = [r for r in remaining if (r["resourceType"], r["id"]) == (kind, old["id"])]
        if twins:
            remaining.remove(twins[0])
            found.append(set(differences(old, twins[0], kind)))
        else:
            found.append({f"- {kind}"})
    found += [{f"+ {r['resourceType']}"} for r in remaining]
    return set().union(*found), sum(map(bool, found))


def messed_up(name: str) -> tuple[SamplePatient, SamplePatient]:
    before = sample_patient(MESSES[name].story)
    return before, make_mess(before, name)


def test_every_mess_is_in_the_table() -> None:
    assert list(CHANGES) == list(MESSES)


@pytest.mark.parametrize("name", MESSES)
def test_a_mess_changes_exactly_this(name: str) -> None:
    assert changes(*messed_up(name)) == CHANGES[name]


@pytest.mark.parametrize("name", MESSES)
def test_a_mess_leaves_the_clean_patient_the_story_and_the_visits_alone(name: str) -> None:
    before, after = messed_up(name)
    assert before == sample_patient(MESSES[name].story)
    assert (after.story, after.visits) == (before.story, before.visits)


@pytest.mark.parametrize("name", MESSES)
def test_a_mess_says_in_one_line_each_what_it_does_and_what_a_reader_does(name: str) -> None:
    mess = MESSES[name]
    assert mess.name == name
    for sentence in (mess.what, mess.reader):
        assert "\n" not in sentence
        assert sentence[0].isupper()
        assert sentence.endswith((".", "..."))


@pytest.mark.parametrize("name", [name for name, mess in MESSES.items() if mess.legal])
def test_a_legal_mess_is_still_valid_r4(name: str) -> None:
    for resource in messed_up(name)[1].resources:
        get_fhir_model_class(resource["resourceType"]).model_validate(resource)


# what a record must hold for these messes; all others find a place in every record
NEEDS = {
    "a pressure": {"bp-without-unit", "bp-text-unit-only", "pressure-in-two"},
    "steps": {"steps-annotated-unit", "steps-bare-integer"},
    "bloods": {
        *("unit-contradiction", "potassium-meq", "mgdl-for-mmoll", "egfr-without-area"),
        "other-codes",
    },
    "a pressure or steps": {
        *("https-ucum-system", "comparator", "value-range", "data-absent", "implausible"),
        *("number-as-string", "number-too-large", "nan-like", "date-only", "month-only"),
        *("missing-effective-time", "after-death", "utc-offsets", "no-offset", "future-dated"),
        *("stale", "repeated-row", "repeated-reading", "contradictory-reading", "amended", "huge"),
        *("entered-in-error", "preliminary", "cancelled", "bad-status", "local-code"),
        *("local-code-first", "wrong-patient", "missing-subject", "contained"),
        "modifier-extension",
    },
    "a drug": {
        *("before-first-observation", "do-not-perform", "medication-reference"),
        *("medication-contained", "drug-text-only", "unknown-drug-code"),
    },
    "an order": {"draft-order"},
    "a procedure": {"advice-not-done"},
    "a problem": {
        *("refuted-condition", "unconfirmed-condition", "resolved-condition"),
        "condition-in-error",
    },
}


def held(story: str) -> set[str]:
    """Return what the record of a story holds, in the words of ``NEEDS``."""
    kinds = {r["resourceType"] for r in sample_patient(story).resources}
    pressure = story == "normotensive" or (story[:3] == "htn" and story != "htn-no-pressure")
    steps = story[:8] == "activity" and story != "activity-sedentary-no-steps"
    holds = {
        "a pressure": pressure,
        "steps": steps,
        "bloods": not story.startswith("activity"),
        "a pressure or steps": pressure or steps,
        "a drug": "MedicationRequest" in kinds,
        "an order": bool(kinds & {"MedicationRequest", "ServiceRequest"}),
        "a procedure": "Procedure" in kinds,
        "a problem": story != "normotensive",
    }
    return {need for need, there in holds.items() if there}


@pytest.mark.parametrize("story", STORIES)
def test_a_mess_is_made_wherever_there_is_a_place_and_says_so_where_there_is_none(
    story: str,
) -> None:
    clean = sample_patient(story)
    homeless = {name for need in NEEDS.keys() - held(story) for name in NEEDS[need]}
    for name in MESSES.keys() - homeless:
        assert make_mess(clean, name) != clean
    for name in homeless:
        words = f"{name!r} finds no place in a {story!r} record; .* {MESSES[name].story!r}"
        with pytest.raises(MessDoesNotApplyError, match=words):
            make_mess(clean, name)


@pytest.mark.parametrize("name", sorted(NEEDS["a pressure or steps"] - {"after-death"}))
def test_what_befalls_pressures_befalls_step_counts_too(name: str) -> None:
    clean = sample_patient("activity-responder")
    touched, count = changes(clean, make_mess(clean, name))
    assert {line[2:].partition(".")[0] for line in touched} == {"Observation"}
    assert count in {1, 14, 1000}


@given(st.sampled_from(sorted(MESSES)), st.sampled_from(sorted(MESSES)), st.integers(0, 3))
def test_messes_can_be_made_one_upon_another_or_say_that_they_cannot(
    first: str, second: str, number: int
) -> None:
    assume("huge" not in {first, second})
    once = make_mess(sample_patient(MESSES[first].story, number), first)
    try:
        twice = make_mess(once, second)
    except MessDoesNotApplyError:
        return
    assert twice != once
    assert to_ndjson([twice])


def test_a_mess_that_finds_its_place_gone_says_so() -> None:
    absent = make_mess(sample_patient("htn-controlled"), "data-absent")
    with pytest.raises(MessDoesNotApplyError, match=r"'comparator' finds .* took away what it"):
        make_mess(absent, "comparator")


def test_an_unknown_mess_is_refused_with_the_messes_there_are() -> None:
    with pytest.raises(ValueError, match="no mess 'mud'; the messes are bp-without-unit, "):
        make_mess(sample_patient("normotensive"), "mud")
