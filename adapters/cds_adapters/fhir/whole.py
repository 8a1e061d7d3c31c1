"""A struct that keeps every element can show that reading a body has lost nothing of it.

Decoders keep the last of two equal keys without a word. A body that is written back with as many
colons as it had cannot have lost one: so the structs keep, as raw JSON, also the elements that no
decision uses, and counting is all that is left to do. It costs a few microseconds where a check of
its own, in Python, costs more than all the rest of a call.
"""

from collections.abc import Mapping
from typing import TypeVar

import msgspec
import numpy as np
from msgspec import Raw, defstruct, field

_T = TypeVar("_T")

_ANY = "id extension"
_RESOURCE = "id implicitRules language meta contained extension modifierExtension text"
ABSENT = Raw()
"""What an element that is only kept as raw JSON holds where it is absent."""

_SMALL = 8_000
"""Bytes up to which Python counts faster than NumPy gets ready to."""

ELEMENTS: Mapping[str, str] = {
    "Coding": f"{_ANY} system version code display userSelected",
    "CodeableConcept": f"{_ANY} coding text",
    "Quantity": f"{_ANY} value comparator unit system code",
    "Range": f"{_ANY} low high",
    "Period": f"{_ANY} start end",
    "Timing": f"{_ANY} modifierExtension event repeat code",
    "Reference": f"{_ANY} reference type identifier display",
    "Meta": f"{_ANY} versionId lastUpdated source profile security tag",
    "Entry": f"{_ANY} modifierExtension link fullUrl resource search request response",
    "Search": f"{_ANY} modifierExtension mode score",
    "Link": f"{_ANY} modifierExtension relation url",
    "Response": f"{_ANY} modifierExtension status location etag lastModified outcome",
    "Bundle": "id meta implicitRules language identifier type timestamp total link entry signature",
    "Patient": f"{_RESOURCE} identifier active name telecom gender birthDate deceasedBoolean "
    "deceasedDateTime address maritalStatus multipleBirthBoolean multipleBirthInteger photo "
    "contact communication generalPractitioner managingOrganization link",
    "Component": f"{_ANY} modifierExtension code dataAbsentReason interpretation referenceRange",
    "Observation": f"{_RESOURCE} identifier basedOn partOf status category code subject focus "
    "encounter performer dataAbsentReason interpretation note bodySite method specimen device "
    "referenceRange hasMember derivedFrom component",
    "Condition": f"{_RESOURCE} identifier category severity code bodySite subject encounter "
    "onsetAge onsetRange onsetString recorder asserter stage evidence note",
    "AllergyIntolerance": f"{_RESOURCE} identifier type category criticality code patient "
    "encounter onsetAge onsetRange onsetString recorder asserter lastOccurrence note reaction",
    "Medication": f"{_RESOURCE} identifier code status manufacturer form amount ingredient batch",
    "MedicationRequest": f"{_RESOURCE} identifier status statusReason intent category priority "
    "reportedBoolean reportedReference subject encounter supportingInformation requester "
    "performer performerType recorder reasonCode reasonReference instantiatesCanonical "
    "instantiatesUri basedOn groupIdentifier courseOfTherapyType insurance note "
    "dosageInstruction substitution priorPrescription detectedIssue eventHistory",
    "DispenseRequest": f"{_ANY} modifierExtension initialFill dispenseInterval validityPeriod "
    "quantity performer",
    "MedicationStatement": f"{_RESOURCE} identifier basedOn partOf status statusReason category "
    "subject context informationSource derivedFrom reasonCode reasonReference note dosage",
    "MedicationDispense": f"{_RESOURCE} identifier partOf status statusReasonCodeableConcept "
    "statusReasonReference category subject context supportingInformation performer location "
    "authorizingPrescription type quantity destination receiver note dosageInstruction "
    "substitution detectedIssue eventHistory",
    "MedicationAdministration": f"{_RESOURCE} identifier instantiates partOf status statusReason "
    "category subject context supportingInformation performer reasonCode reasonReference request "
    "device note dosage eventHistory",
    "Procedure": f"{_RESOURCE} identifier instantiatesCanonical instantiatesUri basedOn partOf "
    "status statusReason category code subject encounter performedString performedAge "
    "performedRange recorder asserter performer location reasonCode reasonReference bodySite "
    "outcome report complication complicationDetail followUp note focalDevice usedReference "
    "usedCode",
    "ServiceRequest": f"{_RESOURCE} identifier instantiatesCanonical instantiatesUri basedOn "
    "replaces requisition status intent category priority orderDetail quantityQuantity "
    "quantityRatio quantityRange subject encounter occurrenceDateTime occurrencePeriod "
    "occurrenceTiming asNeededBoolean asNeededCodeableConcept requester performerType performer "
    "locationCode locationReference reasonCode reasonReference insurance supportingInfo specimen "
    "bodySite note patientInstruction relevantHistory",
    "CarePlan": f"{_RESOURCE} identifier instantiatesCanonical instantiatesUri basedOn replaces "
    "partOf status intent category title description subject encounter period created author "
    "contributor careTeam addresses supportingInfo goal activity note",
    "Activity": f"{_ANY} modifierExtension outcomeCodeableConcept outcomeReference progress "
    "reference detail",
    "ActivityDetail": f"{_ANY} modifierExtension kind instantiatesCanonical instantiatesUri code "
    "reasonCode reasonReference goal status statusReason scheduledTiming scheduledPeriod "
    "scheduledString location performer productCodeableConcept productReference dailyAmount "
    "quantity description",
    "Encounter": f"{_RESOURCE} identifier status statusHistory class classHistory type "
    "serviceType priority subject episodeOfCare basedOn participant appointment period length "
    "reasonCode reasonReference diagnosis account hospitalization location serviceProvider partOf",
}
"""Name of a struct -> the R4 elements of what it stands for; those it declares may be left out."""


def whole(kind: type[_T]) -> type[_T]:
    """Return the struct with every other element of its type added as raw JSON."""
    declared = set(kind.__struct_encode_fields__)  # type: ignore[attr-defined]
    config = kind.__struct_config__  # type: ignore[attr-defined]
    others = [name for name in ELEMENTS[kind.__name__].split() if name not in declared]
    # the new struct is a subclass, which its maker's own signature does not say
    return defstruct(  # type: ignore[return-value]
        kind.__name__,
        [(f"other_{name}", Raw, field(default=ABSENT, name=name)) for name in others],
        bases=(kind,),
        module=kind.__module__,
        namespace={"__doc__": kind.__doc__},
        frozen=True,
        gc=False,
        omit_defaults=True,
        tag=config.tag,
        tag_field=config.tag_field,
    )


def lost_nothing(data: bytes | Raw, decoded: object, *, contained: bool = True) -> bool:
    """Say whether ``decoded`` surely holds every key of the JSON that it was decoded from.

    False means that it is not sure: a key may stand twice, or be unknown to the structs. An
    element that stays raw is not looked into, for nobody reads it; but what is contained is read.

    Args:
        data: the JSON.
        decoded: what it was decoded into.
        contained: False where it is known that no resource stands inside another one.
    """
    again = msgspec.json.encode(decoded)
    text = bytes(data)
    if contained and b'"contained"' in text:
        return False
    # An escape such as \\u003a hides a colon from the count, so that it proves nothing.
    if len(again) < _SMALL:
        return b"\\u" not in text and text.count(b":") == again.count(b":")
    array = np.frombuffer(text, np.uint8)
    if _colons(array) != _colons(np.frombuffer(again, np.uint8)):
        return False
    # JSON cannot end in a backslash, so that there is a byte after each of them.
    after = np.flatnonzero(array == ord("\\")) + 1
    return not np.count_nonzero(array[after] == ord("u"))


def _colons(array: "np.ndarray[tuple[int], np.dtype[np.uint8]]") -> int:
    return int(np.count_nonzero(array == ord(":")))
