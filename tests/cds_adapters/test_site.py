"""A setting that cannot be used is named, with what is wrong with it."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cds_adapters.cds_hooks.site import site_map
from cds_adapters.site import DEFAULT_DATABASE, Site, read_site
from cds_engine.errors import DocumentError


def written(folder: Path, text: str) -> Path:
    file = folder / "site.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_without_a_file_everything_has_a_safe_default() -> None:
    site = read_site(None, {})
    assert site == Site()
    assert (site.host, site.port, site.database) == ("127.0.0.1", 8000, DEFAULT_DATABASE)
    assert (site.allow_as_of, site.allow_plain_http, site.as_of) == (False, False, None)
    assert site.fhir_servers == site.cors_origins == ()
    assert site.show_abstentions


def test_a_file_is_read_and_the_command_line_wins(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        'port = 9000\nhost = "0.0.0.0"\ntime_zone = "Europe/Berlin"\n'
        'cors_origins = ["https://ehr.example"]\n'
        '[codes]\n"urn:lab|K" = ["loinc|2823-3"]\n',
    )
    site = read_site(file, {"port": 9001, "host": None})
    assert (site.port, site.host, site.time_zone) == (9001, "0.0.0.0", "Europe/Berlin")  # noqa: S104 - only read
    assert site.cors_origins == ("https://ehr.example",)
    assert site.codes == {"urn:lab|K": ("loinc|2823-3",)}


def test_a_local_code_may_be_recorded_without_a_system() -> None:
    site = read_site(None, {"codes": {"|K": ("loinc|2823-3",)}})
    assert site_map(site).event_codes[None, "K"] == ("loinc|2823-3",)


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"host": "cds.local", "port": 80}, "http://cds.local:80"),
        ({"base_url": "https://cds.example/x/"}, "https://cds.example/x"),
    ],
)
def test_links_on_cards_lead_to_the_public_address(settings: dict[str, Any], url: str) -> None:
    assert Site(**settings).public_url == url


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        pytest.param({"port": 65_536}, "port: Input should be less than or equal to 65535",
                     id="a port beyond the last"),
        pytest.param({"port": "x"}, "port: Input should be a valid integer", id="a port in words"),
        pytest.param({"prot": 1}, "prot: there is no such setting; there is allow_as_of, allow_",
                     id="a setting that there is not"),
        pytest.param({"fetch_deadline": 0}, "fetch_deadline: Input should be greater than 0",
                     id="no time at all"),
        pytest.param({"call_deadline": 61}, "call_deadline: Input should be less than or equal",
                     id="more time than a clinician has"),
        pytest.param({"max_body": 10}, "max_body: Input should be greater than or equal to 1000",
                     id="a body that holds nothing"),
        pytest.param({"max_pages": 0}, "max_pages: Input should be greater than or equal to 1",
                     id="no page"),
        pytest.param({"fhir_servers": ("ehr.example",)},
                     "fhir_servers: 'ehr.example' is no absolute http(s) URL", id="no URL"),
        pytest.param({"cors_origins": ("ftp://ehr.example",)},
                     "cors_origins: 'ftp://ehr.example' is no absolute http(s) URL",
                     id="another protocol"),
        pytest.param({"codes": {"K": ("loinc|2823-3",)}},
                     "codes: 'K' is no code; write it as system|code, for example loinc|8480-6; "
                     "a code recorded without a system is written |code", id="no bar"),
        pytest.param({"codes": {"|": ("loinc|2823-3",)}}, "codes: ", id="a bar alone"),
        pytest.param({"codes": {"urn:lab|K": ("|2823-3",)}}, "codes: ", id="no standard code"),
        pytest.param({"codes": {"urn:lab|K": ("2823-3",)}}, "codes: ",
                     id="a standard code without a system"),
        pytest.param({"fhir_servers": ("http://ehr.example/fhir",)},
                     "fhir_servers holds 'http://ehr.example/fhir', which is not https, so that "
                     "every fetch from it would be refused; use https, or set allow_plain_http",
                     id="a server that would never be asked"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be_used_is_named(given: dict[str, Any], fault: str) -> None:
    with pytest.raises(DocumentError) as refused:
        read_site(None, given)
    [found] = refused.value.faults
    assert str(found).startswith(fault)
    assert str(refused.value).startswith("the settings cannot be used; 1 fault:\n  - ")


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"codes": {"x|1": "snomed|1"}}, 'codes.x|1: is no list; write a list: ["snomed|1"]'),
        ({"codes": {"x": "y"}}, 'codes.x: is no list; write a list: ["snomed|59621000"]'),
        ({"codes": {"x": 1}}, 'codes.x: is no list; write a list: ["..."]'),
        (
            {"cors_origins": "https://ehr.example"},
            'cors_origins: is no list; write a list: ["https://ehr.example"]',
        ),
    ],
)
def test_a_list_of_one_is_still_a_list(given: dict[str, Any], fault: str) -> None:
    with pytest.raises(DocumentError) as refused:
        read_site(None, given)
    assert fault in str(refused.value)


def test_all_faults_are_named_at_once_with_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, 'port = -1\nhots = "x"\nmax_pages = "many"\n')
    with pytest.raises(DocumentError, match="3 faults") as refused:
        read_site(file, {})
    assert {fault.place for fault in refused.value.faults} == {"port", "hots", "max_pages"}
    assert str(file) in str(refused.value)


def test_plain_http_is_accepted_where_it_is_asked_for() -> None:
    servers = ("http://127.0.0.1:8080/fhir",)
    assert Site(fhir_servers=servers, allow_plain_http=True).fhir_servers == servers


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"port = ", "cannot be read: Invalid value", id="not TOML"),
        pytest.param(b"port = 1\nport = 2\n", "cannot be read: Cannot overwrite", id="twice"),
        pytest.param(b'host = "\xff"\n', "cannot be read: 'utf-8' codec", id="not UTF-8"),
        pytest.param(None, "cannot be read: [Errno 2] No such file", id="not there"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    file = tmp_path / "site.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DocumentError) as refused:
        read_site(file, {})
    assert f"the settings in {file} cannot be used; 1 fault:" in str(refused.value)
    assert words in str(refused.value)


def test_settings_do_not_change_once_they_are_read() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        read_site(None, {}).port = 1  # type: ignore[misc]
