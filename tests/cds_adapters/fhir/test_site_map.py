"""A site states once what its own codes mean and in which time zone its dates are written."""

import pytest

from cds_adapters.fhir.context import Context
from cds_adapters.fhir.elements import CodeableConcept, Coding
from cds_adapters.fhir.site_map import SiteMap, SiteMapError
from cds_adapters.fhir.tables import FULL

LOINC = "http://loinc.org"


def codes(site: SiteMap, *codings: tuple[str | None, str | None]) -> tuple[str, ...]:
    concept = CodeableConcept(tuple(Coding(system, code) for system, code in codings))
    return Context(site).codes(concept)


def test_a_local_code_gains_the_standard_ones() -> None:
    site = SiteMap(codes={"urn:lab|SBP": ("loinc|8480-6", "http://snomed.info/sct|271649006")})

    assert codes(site, ("urn:lab", "SBP")) == ("urn:lab|SBP", "loinc|8480-6", "snomed|271649006")


def test_a_system_may_be_written_short_or_in_full() -> None:
    for local in ("loinc|55284-4", f"{LOINC}|55284-4"):
        site = SiteMap(codes={local: ("loinc|85354-9",)})
        assert codes(site, (LOINC, "55284-4")) == ("loinc|55284-4", "loinc|85354-9")


@pytest.mark.parametrize(
    ("oid", "code"),
    [
        ("2.16.840.1.113883.6.1", "loinc|1"),
        ("2.16.840.1.113883.6.96", "snomed|1"),
        ("2.16.840.1.113883.6.88", "rxnorm|1"),
    ],
)
def test_a_system_named_by_its_object_identifier_is_the_same_system(oid: str, code: str) -> None:
    assert codes(SiteMap(), (f"urn:oid:{oid}", "1")) == (code,)
    assert codes(SiteMap(), ("urn:oid:2.999", "1")) == ("urn:oid:2.999|1",)


def test_a_code_without_a_system_counts_only_if_the_site_says_what_it_means() -> None:
    site = SiteMap(codes={"|SBP": ("loinc|8480-6",)})

    assert codes(site, (None, "SBP")) == ("loinc|8480-6",)
    assert codes(site, (None, "DBP")) == ()


def test_a_local_code_may_have_spaces_inside() -> None:
    site = SiteMap(codes={"urn:lab|VP MULTI": ("loinc|41857-4",)})

    assert codes(site, ("urn:lab", "VP MULTI")) == ("urn:lab|VP MULTI", "loinc|41857-4")


def test_several_codings_give_each_code_once() -> None:
    site = SiteMap(codes={"urn:lab|SBP": ("loinc|8480-6",)})

    assert codes(site, (LOINC, "8480-6"), ("urn:lab", "SBP"), (LOINC, "8480-6")) == (
        "loinc|8480-6",
        "urn:lab|SBP",
    )


@pytest.mark.parametrize(
    "coding",
    [(LOINC, None), (LOINC, ""), (LOINC, " 8480-6"), (LOINC, "8480\u00006"), ("urn:\u0000", "1"),
     (LOINC, "8480\u202e6")],
)  # fmt: skip
def test_what_is_not_written_as_a_code_is_none(coding: tuple[str, str | None]) -> None:
    assert codes(SiteMap(), coding) == ()


def test_a_code_is_compared_to_the_letter() -> None:
    homoglyph = "8480-\uff16"  # a full-width six

    assert codes(SiteMap(), (LOINC, homoglyph)) == (f"loinc|{homoglyph}",)


def test_no_concept_has_no_codes() -> None:
    assert Context().codes(None) == ()
    assert codes(SiteMap()) == ()


def test_a_table_that_outlives_records_does_not_grow_for_ever() -> None:
    site = SiteMap()
    for number in range(FULL + 10):
        codes(site, (LOINC, str(number)))

    assert len(site.event_codes) <= FULL


def test_all_faults_of_a_site_map_are_named() -> None:
    with pytest.raises(SiteMapError) as refused:
        SiteMap(codes={"SBP": ("loinc|1",), "urn:lab|": (), "urn:lab|X": ("8480-6", "lonc|1")})

    text = str(refused.value)
    assert text.startswith("the site map cannot be used; 4 faults:")
    assert "codes['SBP']: 'SBP' is no code; write it as system|code, or |code" in text
    assert "codes['urn:lab|']" in text
    assert "'8480-6' is no code; write it as loinc|8480-6" in text
    assert "'lonc|1' names no known system" in text


def test_site_maps_compare_by_what_they_say() -> None:
    assert SiteMap(codes={f"{LOINC}|1": ()}) == SiteMap(codes={"loinc|1": ()})
    assert SiteMap() != SiteMap(codes={"loinc|1": ()})
