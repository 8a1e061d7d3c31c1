"""CDS_HOOKS.md, sections B and C: the discovery document and its templates."""

import re

import pytest
from builders.hook_calls import RULES, SERVICE, TALK, Served, hook_body

from cds_adapters.cds_hooks.discovery import Offer
from cds_adapters.cds_hooks.hooks import (
    HOOKS,
    SERVED,
    USER_TOKENS,
    ContextField,
    Hook,
    HookError,
    checked_hooks,
)

TOKEN = re.compile(r"\{\{(.*?)\}\}")
PRIVATE = Hook(
    "org.example.bed-assign", "1.0", "a bed is assigned", (ContextField("patientId", "id"),)
)


@pytest.mark.parametrize("path", ["/cds-services", "/cds-services/"])
def test_009_discovery_answers_directly_with_and_without_the_slash(path: str) -> None:
    answer = Served().request("GET", path)
    assert answer.status_code == 200
    assert not answer.history


def test_010_the_body_is_an_object_with_a_list_of_services() -> None:
    assert isinstance(Served().discover().json()["services"], list)


def test_011_without_services_the_list_is_empty() -> None:
    answer = Served(rules=()).discover()
    assert (answer.status_code, answer.json()) == (200, {"services": []})


def test_012_013_015_each_service_has_hook_description_and_title() -> None:
    for service in Served().services().values():
        assert service["hook"] in HOOKS
        assert service["title"] == "Stepped care of high blood pressure"
        assert service["description"].startswith("Advice first, then a drug. Asked when ")


def test_014_each_advertised_id_can_be_called() -> None:
    served = Served()
    for service in served.services().values():
        assert served.call(hook_body(service["hook"]), service["id"]).status_code == 200


def test_014_ids_are_the_regime_and_the_hook() -> None:
    assert set(Served().services()) == {f"pressure-{hook.name}" for hook in SERVED}


def test_016_prefetch_is_an_object_of_strings() -> None:
    for service in Served().services().values():
        assert service["prefetch"]
        assert all(isinstance(text, str) and text for text in service["prefetch"].values())


def test_017_usage_requirements_say_what_happens_without_a_key() -> None:
    words = Served().services()[SERVICE]["usageRequirements"]
    assert "an empty Bundle" in words
    assert "care_plans" in words


def test_018_019_versions_of_the_specification_and_of_the_hook_are_named() -> None:
    for service in Served().services().values():
        assert service["version"] == "2.0.1"
        assert service["hookVersion"] == HOOKS[service["hook"]].version


def test_021_ids_are_unique_and_safe_in_a_url() -> None:
    ids = [service["id"] for service in Served(rules=(RULES, TALK)).discover().json()["services"]]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z0-9.-]+", found) for found in ids)


def test_021_a_regime_that_orders_nothing_is_not_asked_about_orders() -> None:
    assert {s["hook"] for s in Served(rules=(TALK,)).services().values()} == {
        "patient-view", "encounter-start", "encounter-discharge",
    }  # fmt: skip


def test_022_the_same_rules_give_the_same_bytes_and_etag() -> None:
    first, second = Served().discover(), Served().discover()
    assert first.content == second.content
    assert first.headers["etag"] == second.headers["etag"]


def test_022_who_has_the_document_gets_304_without_a_body() -> None:
    served = Served()
    etag = served.discover().headers["etag"]
    for held in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        answer = served.discover(**{"if-none-match": held})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == etag
    assert served.discover(**{"if-none-match": '"other"'}).status_code == 200


def test_022_another_version_of_the_rules_is_another_document() -> None:
    newer = Served(rules=(RULES.replace("1.2.0", "1.2.1"),)).discover()
    assert newer.headers["etag"] != Served().discover().headers["etag"]


@pytest.mark.parametrize("name", ["patientview", "Patient-View", "org.example", "a-", "x y-z"])
def test_023_a_hook_is_noun_verb(name: str) -> None:
    with pytest.raises(HookError, match="noun-verb"):
        checked_hooks([Hook(name, "1.0", "", PRIVATE.fields)])


def test_023_a_private_hook_carries_its_owners_domain() -> None:
    with pytest.raises(HookError, match=r"org\.example\.bed-assign"):
        checked_hooks([Hook("bed-assign", "1.0", "", PRIVATE.fields)])
    assert checked_hooks([PRIVATE]) == (PRIVATE,)


def test_023_a_hook_without_a_patient_or_listed_twice_cannot_be_served() -> None:
    with pytest.raises(HookError, match="nobody to advise"):
        checked_hooks([Hook("org.example.bed-assign", "1.0", "", ())])
    with pytest.raises(HookError, match="twice"):
        checked_hooks([PRIVATE, PRIVATE])


def test_122_all_published_hooks_and_private_ones_can_be_served() -> None:
    served = Served(offer=Offer(hooks=(*HOOKS.values(), PRIVATE)))
    assert len(served.services()) == 8
    for hook in HOOKS:
        assert served.call(hook_body(hook), f"pressure-{hook}").status_code == 200
    body = hook_body() | {"hook": PRIVATE.name, "context": {"patientId": "patient-1"}}
    assert served.call(body, f"pressure-{PRIVATE.name}").status_code == 200


def templates() -> list[tuple[str, str]]:
    served = Served(offer=Offer(hooks=tuple(HOOKS.values())))
    return [
        (service["hook"], template)
        for service in served.services().values()
        for template in service["prefetch"].values()
    ]


def test_024_025_027_tokens_are_first_level_fields_that_the_hook_allows() -> None:
    for hook, template in templates():
        allowed = {f"context.{field.name}" for field in HOOKS[hook].fields if field.token}
        assert set(TOKEN.findall(template)) <= allowed
        assert "{" not in TOKEN.sub("", template)


def test_026_user_tokens_would_be_one_of_four() -> None:
    for _, template in templates():
        for token in TOKEN.findall(template):
            assert not token.startswith("user") or token in USER_TOKENS


def test_028_only_reads_and_searches_by_type() -> None:
    for _, template in templates():
        assert re.match(r"[A-Z][A-Za-z]+(\?|/\{\{context\.patientId\}\}$)", template)


def parameters(template: str) -> list[tuple[str, str]]:
    query = template.partition("?")[2]
    return [tuple(part.split("=", 1)) for part in query.split("&") if part]  # type: ignore[misc]


def test_029_033_only_common_parameters_and_the_patient_by_reference() -> None:
    for _, template in templates():
        found = dict(parameters(template))
        assert set(found) <= {"patient", "code", "_sort", "_count", "_include"}
        if found:
            assert found["patient"] == "{{context.patientId}}"


def test_030_codes_are_searched_by_equality_with_their_full_system() -> None:
    for _, template in templates():
        for code in dict(parameters(template)).get("code", "").split(","):
            assert not code or re.fullmatch(r"https?://[^|]+\|[^|]+", code)


def test_031_040_no_template_names_a_date_or_a_parameter_twice() -> None:
    for _, template in templates():
        names = [name for name, _ in parameters(template)]
        assert "date" not in names
        assert len(set(names)) == len(names)


def test_032_nothing_outside_the_recommended_subset() -> None:
    for _, template in templates():
        # The one exception brings the medication along that a prescription only refers to.
        include = dict(parameters(template)).get("_include", "")
        assert include in {"", f"{template.partition('?')[0]}:medication"}
        for strange in ("_revinclude", "_has", "_summary", "$", ":in", ":not"):
            assert strange not in template
        assert dict(parameters(template)).get("_sort", "-date") == "-date"


def test_034_to_038_no_fhirpath_and_no_reference_to_another_key() -> None:
    for _, template in templates():
        for token in TOKEN.findall(template):
            assert re.fullmatch(r"[A-Za-z.]+", token)
