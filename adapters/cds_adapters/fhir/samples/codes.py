"""The codes that the sample records use, and how FHIR writes a code or a quantity."""

from typing import Any

Resource = dict[str, Any]
Coding = tuple[str, str, str]

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
UCUM = "http://unitsofmeasure.org"
_HL7 = "http://terminology.hl7.org/CodeSystem/"

PRESSURE_PANEL = (LOINC, "85354-9", "Blood pressure panel with all children optional")
SYSTOLIC = (LOINC, "8480-6", "Systolic blood pressure")
DIASTOLIC = (LOINC, "8462-4", "Diastolic blood pressure")
POTASSIUM = (LOINC, "6298-4", "Potassium [Moles/volume] in Blood")
CREATININE = (LOINC, "38483-4", "Creatinine [Mass/volume] in Blood")
EGFR = (
    LOINC,
    "33914-3",
    (
        "Glomerular filtration rate/1.73 sq M.predicted [Volume Rate/Area] "
        "in Serum or Plasma by Creatinine-based formula (MDRD)"
    ),
)
STEPS = (LOINC, "41950-7", "Number of steps in 24 hour Measured")

HYPERTENSION = (SNOMED, "59621000", "Essential hypertension (disorder)")
PREGNANCY = (SNOMED, "72892002", "Normal pregnancy (finding)")
SEDENTARY = (SNOMED, "415510005", "Sedentary lifestyle (finding)")
LIFESTYLE_ADVICE = (SNOMED, "443402002", "Lifestyle education regarding hypertension (procedure)")
EXERCISE_EDUCATION = (SNOMED, "304507003", "Exercise education (procedure)")
COUGH = (SNOMED, "49727002", "Cough (finding)")
CHECK_UP = (SNOMED, "185349003", "Encounter for check up (procedure)")

LISINOPRIL_10_MG = (RXNORM, "314076", "lisinopril 10 MG Oral Tablet")
LISINOPRIL = (RXNORM, "29046", "lisinopril")

AMBULATORY = (_HL7 + "v3-ActCode", "AMB", "ambulatory")
VITAL_SIGNS = (_HL7 + "observation-category", "vital-signs", "Vital Signs")
LABORATORY = (_HL7 + "observation-category", "laboratory", "Laboratory")
ACTIVITY = (_HL7 + "observation-category", "activity", "Activity")
PROBLEM_LIST = (_HL7 + "condition-category", "problem-list-item", "Problem List Item")
CONDITION_CLINICAL = _HL7 + "condition-clinical"
CONDITION_VERIFICATION = _HL7 + "condition-ver-status"
ALLERGY_CLINICAL = _HL7 + "allergyintolerance-clinical"
ALLERGY_VERIFICATION = _HL7 + "allergyintolerance-verification"
DATA_ABSENT = _HL7 + "data-absent-reason"


def coding(code: Coding) -> Resource:
    """Return a FHIR Coding."""
    system, value, display = code
    return {"system": system, "code": value, "display": display}


def concept(code: Coding) -> Resource:
    """Return a FHIR CodeableConcept whose text repeats the display, as most systems send it."""
    return {"coding": [coding(code)], "text": code[2]}


def status_concept(system: str, code: str) -> Resource:
    """Return the CodeableConcept of a status, which carries no display."""
    return {"coding": [{"system": system, "code": code}]}


def quantity(value: int | float, code: str, unit: str | None = None) -> Resource:
    """Return a FHIR Quantity in a UCUM unit; ``unit``, the words shown, defaults to the code."""
    return {"value": value, "unit": unit or code, "system": UCUM, "code": code}


def has_code(resource: Resource, code: Coding) -> bool:
    """Say whether the resource's ``code`` holds this coding, whatever its display."""
    codings = resource.get("code", {}).get("coding", ())
    return any((c.get("system"), c.get("code")) == code[:2] for c in codings)
