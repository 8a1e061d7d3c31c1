"""The searches are computed from the bundle, and shared where they are the same."""

import pytest
from builders.hook_calls import RULES, bundle_of

from cds_adapters.cds_hooks.prefetch import (
    Query,
    RecordSystem,
    prefetch_queries,
    variables_read,
)
from cds_adapters.fhir.site_map import SiteMap
from cds_engine.history.extract import KINDS


def queries(text: str = RULES, **options: object) -> dict[str, Query]:
    found = prefetch_queries(bundle_of(text), **options)  # type: ignore[arg-type]
    assert len({query.key for query in found}) == len(found)
    return {query.key: query for query in found}


def test_016_variables_that_need_the_same_search_share_it() -> None:
    assert queries()["observations_sbp"].variables == ("sbp", "sbp_latest")


def test_016_a_key_is_named_for_what_it_holds() -> None:
    assert list(queries()) == [
        "patient",
        "conditions",
        "observations_sbp",
        "observations_potassium",
        "allergies",
        "medication_requests",
        "medication_statements",
        "observations_heart_rate",
        "procedures",
        "service_requests",
        "care_plans",
        "medication_dispenses",
        "medication_administrations",
    ]


def test_033_observations_are_searched_by_their_codes_and_panels() -> None:
    assert queries()["observations_sbp"].template == (
        "Observation?patient={{context.patientId}}"
        "&code=http://loinc.org|8480-6,http://loinc.org|85354-9&_sort=-date&_count=200"
    )


def test_033_short_lists_are_asked_for_whole() -> None:
    assert queries()["conditions"].template == "Condition?patient={{context.patientId}}&_count=200"
    assert "code=" not in queries()["medication_requests"].template


def test_033_local_codes_of_the_site_are_searched_too() -> None:
    site = SiteMap({"urn:oid:1.2.3|BP&SYS": ("loinc|8480-6",), "|PULSE, rest": ("loinc|8867-4",)})
    found = queries(site=site)
    assert "8480-6,urn:oid:1.2.3|BP%26SYS,http" in found["observations_sbp"].template
    assert "8867-4,|PULSE%5C%2C%20rest&" in found["observations_heart_rate"].template


def test_the_longest_window_of_the_variables_counts() -> None:
    assert str(queries()["observations_sbp"].window) == "P30D"
    longer = RULES.replace("within: P14D", "within: P1M")
    assert str(queries(longer)["observations_sbp"].window) == "P1M"
    endless = RULES.replace(', unit: "mm[Hg]",\n        within: P14D', ', unit: "mm[Hg]"')
    assert queries(endless)["observations_sbp"].window is None
    assert queries()["conditions"].window is None


def test_variables_that_decide_something_are_found_through_derived_ones() -> None:
    assert variables_read(bundle_of()) == {
        "age", "hypertension", "sbp", "sbp_latest", "potassium", "ace_allergy", "on_ace", "step",
    }  # fmt: skip
    derived = RULES.replace("actions:", "  fast: {derive: heart_rate > 100}\nactions:", 1)
    assert "heart_rate" not in variables_read(bundle_of(derived))
    used = derived.replace("when: potassium > 5.5", "when: fast or potassium > 5.5")
    assert "heart_rate" in variables_read(bundle_of(used))


def test_052_a_key_that_feeds_only_a_safeguard_is_required() -> None:
    assert queries()["allergies"].required
    assert queries()["observations_potassium"].required


def test_052_a_key_that_feeds_nothing_decisive_is_not() -> None:
    assert not queries()["observations_heart_rate"].required


@pytest.mark.parametrize(
    ("take", "keys"),
    [
        ("active", {"requests", "statements"}),
        ("adherence, within: P1Y", {"requests", "dispenses"}),
        ("ever, absent: false", {"requests", "statements", "dispenses", "administrations"}),
    ],
)
def test_a_medication_variable_asks_for_what_it_is_read_from(take: str, keys: set[str]) -> None:
    name = "on_ace" if take != "adherence, within: P1Y" else "share"
    text = f"""
regime: one
version: 1.0.0
title: One variable
aim: {{outcome: x, better: lower}}
population: {name}{" >= 0" if name == "share" else ""}
variables:
  {name}: {{from: medication, codes: [rxnorm|314076], take: {take}}}
actions: {{talk: {{label: Talk}}}}
stages:
  - {{stage: only, when: {name}{" >= 0" if name == "share" else ""}, choose: [talk],
      rule: [{{otherwise: talk}}]}}
"""
    assert set(queries(text)) == {"patient"} | {f"medication_{key}" for key in keys}


@pytest.mark.parametrize(
    ("action", "drugs", "care"),
    [
        ("{label: A, seen_as: [rxnorm|1]}", True, False),
        ("{label: A, seen_as: [cpt|1]}", False, True),
        ("{label: A, kind: drug, seen_as: [snomed|1]}", True, False),
        ("{label: A, kind: lifestyle, seen_as: [snomed|1]}", False, True),
        ("{label: A, order: {resource: MedicationRequest, code: snomed|1}, seen_as: [snomed|1]}",
         True, False),
        ("{label: A, order: {resource: ServiceRequest, code: snomed|1}, seen_as: [snomed|1]}",
         False, True),
        ("{label: A, seen_as: [snomed|1]}", True, True),
        ("{label: A}", False, False),
    ],
)  # fmt: skip
def test_the_course_is_searched_where_its_codes_may_stand(
    action: str, drugs: bool, care: bool
) -> None:
    text = f"""
regime: one
version: 1.0.0
title: One action
aim: {{outcome: x, better: lower}}
population: step is none
variables: {{step: {{from: course, take: latest_action}}}}
actions: {{a: {action}}}
stages: [{{stage: only, when: step is none, choose: [a], rule: [{{otherwise: a}}]}}]
"""
    found = set(queries(text))
    assert ("medication_requests" in found) == drugs
    assert ("service_requests" in found) == care
    assert ({"procedures", "care_plans"} <= found) == care


def test_what_a_site_does_not_keep_is_not_asked_for() -> None:
    system = RecordSystem(not_kept=frozenset({"MedicationStatement", "CarePlan"}))
    assert not {"medication_statements", "care_plans"} & set(queries(system=system))


def test_032_medications_that_are_only_referred_to_are_asked_for_unless_a_site_cannot() -> None:
    for key, query in queries().items():
        assert ("_include" in query.template) == key.startswith("medication_")
    template = queries()["medication_requests"].template
    assert "_include=MedicationRequest:medication" in template
    system = RecordSystem(includes_medications=False)
    assert all("_include" not in query.template for query in queries(system=system).values())


def test_a_template_becomes_a_path_for_one_patient() -> None:
    assert queries()["patient"].path("p-1") == "Patient/p-1"


def test_a_procedure_variable_is_read_from_procedures_alone() -> None:
    """An order or a plan is no procedure yet: only ``KINDS["procedure"]`` is searched for it."""
    text = RULES.replace(
        "variables:\n",
        "variables:\n  stented: {from: procedure, codes: [snomed|36969009], take: ever}\n",
        1,
    )
    assert KINDS["procedure"] == {"procedure"}
    feeding = {key: q for key, q in queries(text).items() if "stented" in q.variables}
    assert set(feeding) == {"procedures"}
    assert feeding["procedures"].resource == "Procedure"
    assert "http://snomed.info/sct|36969009" in feeding["procedures"].template
