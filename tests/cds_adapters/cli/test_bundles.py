"""A rule bundle is checked, tested, shown and compared from the command line."""

import json
import shutil
from pathlib import Path

import pytest
from builders.command_line import run
from builders.shipped import RULES, case_names, shipped

from cds_engine.bundle.read import bundle_schema

REGIMES = sorted(folder.name for folder in RULES.iterdir())
STEPPED_CARE = "hypertension-stepped-care"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A rule bundle of one's own, to be changed."""
    folder = tmp_path / "mine"
    shutil.copytree(RULES / STEPPED_CARE / "1.0.0", folder)
    return folder


def rewrite(folder: Path, name: str, *changes: tuple[str, str]) -> None:
    text = (folder / name).read_text("utf-8")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    (folder / name).write_text(text, "utf-8")


# --- check ------------------------------------------------------------------------------------


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("form", ["{}", "{}@1.0.0", f"{RULES}/{{}}/1.0.0",
                                  f"{RULES}/{{}}/1.0.0/bundle.yaml"])  # fmt: skip
def test_a_bundle_is_found_by_name_by_version_and_by_path(regime: str, form: str) -> None:
    said = run("check", form.format(regime), "--json")
    assert said.code == 0
    assert said.document == {
        "fine": True,
        "bundle": f"{regime}@1.0.0",
        "digest": shipped(regime).digest,
        "notes": list(shipped(regime).notes),
    }


def test_check_says_so_where_all_is_well() -> None:
    said = run("check", STEPPED_CARE)
    assert said.code == 0
    assert said.out.startswith(f"{STEPPED_CARE}@1.0.0 is fine; digest sha256:")


def test_check_lists_every_fault_with_place_and_cure(own: Path) -> None:
    rewrite(own, "bundle.yaml", ("population: age >= 18", "population: aeg >= 18"),
            ("when: potassium_raised\n", "when: potassium_risen\n"))  # fmt: skip
    said = run("check", own, "--json")
    assert said.code == 1
    assert said.document["fine"] is False
    faults = {fault["place"]: fault["problem"] for fault in said.document["faults"]}
    assert "did you mean `age`?" in faults["population"]
    assert sum("did you mean `potassium_raised`?" in problem for problem in faults.values()) == 2
    plain = run("check", own)
    assert (plain.code, plain.out) == (1, "")
    assert f"in {own} cannot be used; {len(faults)} faults:\n  - " in plain.err
    assert all(place in plain.err for place in faults)


def test_check_shows_notes_without_making_them_findings(own: Path) -> None:
    unread = "  unread: {from: patient.sex, label: Nobody reads it}\n"
    rewrite(own, "bundle.yaml", ("variables:\n", f"variables:\n{unread}"))
    said = run("check", own, "--json")
    assert said.code == 0
    assert any("unread" in note for note in said.document["notes"])
    assert "  note: " in run("check", own).out


# --- test -------------------------------------------------------------------------------------


@pytest.mark.parametrize("regime", REGIMES)
def test_the_shipped_cases_come_out_as_expected(regime: str) -> None:
    said = run("test", regime, "--json")
    assert said.code == 0
    assert said.document == {
        "bundle": f"{regime}@1.0.0",
        "cases": len(case_names(regime)),
        "wrong": 0,
        "differences": {},
        "branches_without_case": [],
    }
    number = len(case_names(regime))
    assert f"{number} of {number} cases as expected" in run("test", regime).out


def test_a_case_that_comes_out_otherwise_is_a_finding(own: Path) -> None:
    old = "{case: start and high, expect: {outcome: recommendation, stage: start, action: lifestyle"
    rewrite(own, "cases.yaml", (old, old.replace("action: lifestyle", "action: monitor")))
    said = run("test", own, "--json")
    assert (said.code, said.document["wrong"]) == (1, 1)
    assert said.document["differences"] == {
        "start and high": ["action: expected monitor, found lifestyle"]
    }
    plain = run("test", own)
    assert plain.code == 1
    assert "WRONG  start and high\n       action: expected monitor, found lifestyle\n" in plain.out


def test_a_branch_that_no_case_reaches_is_a_finding(own: Path) -> None:
    lines = (own / "cases.yaml").read_text("utf-8").splitlines(keepends=True)
    kept = [
        line for line in lines if "case: last step" not in line and "more lisinopril" not in line
    ]
    (own / "cases.yaml").write_text("".join(kept), "utf-8")
    said = run("test", own, "--json")
    assert (said.code, said.document["wrong"]) == (1, 0)
    assert said.document["branches_without_case"]
    for place in said.document["branches_without_case"]:
        assert f"NO CASE reaches {place}\n" in run("test", own).out


def test_a_bundle_without_cases_is_a_finding(own: Path) -> None:
    (own / "cases.yaml").unlink()
    said = run("test", own, "--json")
    assert (said.code, said.document["cases"]) == (1, 0)
    assert "has no cases; write them in cases.yaml" in run("test", own).err


# --- show and diff ----------------------------------------------------------------------------


@pytest.mark.parametrize("regime", REGIMES)
def test_show_says_everything_in_json_and_in_words(regime: str) -> None:
    bundle = shipped(regime)
    found = run("show", regime, "--json").document
    assert (found["bundle"], found["digest"]) == (bundle.identity, bundle.digest)
    assert [row["name"] for row in found["variables"]] == list(bundle.variables)
    assert [row["name"] for row in found["actions"]] == list(bundle.actions)
    assert [stage["name"] for stage in found["stages"]] == [s.name for s in bundle.stages]
    assert len(found["safeguards"]) == len(bundle.safeguards)
    plain = run("show", regime)
    assert plain.code == 0
    assert plain.out.startswith(f"{bundle.document.title}  ({bundle.identity})\n")
    assert all(stage.title in plain.out for stage in bundle.stages)
    assert (
        f"{len(case_names(regime))} cases; run them with: cds-engine test {regime}\n" in plain.out
    )


def test_diff_of_the_same_finds_nothing() -> None:
    said = run("diff", STEPPED_CARE, f"{STEPPED_CARE}@1.0.0", "--json")
    assert said.code == 0
    assert said.document == {
        "old": f"{STEPPED_CARE}@1.0.0", "new": f"{STEPPED_CARE}@1.0.0",
        "same_version_other_content": False, "changes": [],
    }  # fmt: skip
    assert "say the same" in run("diff", STEPPED_CARE, STEPPED_CARE).out


def test_diff_names_every_change_and_a_change_is_a_finding(own: Path) -> None:
    rewrite(own, "bundle.yaml", ("population: age >= 18", "population: age >= 21"))
    said = run("diff", STEPPED_CARE, own, "--json")
    assert said.code == 1
    [change] = said.document["changes"]
    assert set(change) == {"place", "kind", "what", "before", "after"}
    assert (change["place"], change["kind"]) == ("population", "changed")
    plain = run("diff", STEPPED_CARE, own)
    assert plain.code == 1
    assert "population: threshold of Age" in plain.out


# --- schema and prefetch ----------------------------------------------------------------------


def test_the_schema_is_the_one_that_bundles_are_read_by() -> None:
    said = run("schema")
    assert (said.code, said.out, said.err) == (0, bundle_schema() + "\n", "")
    assert "cases" not in json.loads(said.out)["properties"]


@pytest.mark.parametrize("regime", REGIMES)
def test_prefetch_prints_what_the_service_asks_for(regime: str) -> None:
    found = run("prefetch", regime, "--json").document
    assert found["patient"] == "Patient/{{context.patientId}}"
    searches = [template for key, template in found.items() if key != "patient"]
    assert searches
    assert all("?patient={{context.patientId}}" in template for template in searches)
    plain = run("prefetch", regime)
    assert plain.code == 0
    assert all(key in plain.out for key in found)


def test_both_pressures_come_with_one_search() -> None:
    found = run("prefetch", STEPPED_CARE, "--json").document
    pressures = [key for key, template in found.items() if "8480-6" in template]
    assert pressures == [key for key, template in found.items() if "8462-4" in template]
    assert pressures == ["observations_sbp"]


def test_local_codes_of_the_site_are_asked_for_too(tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text('[codes]\n"urn:lab|K" = ["loinc|2823-3"]\n')
    found = run("prefetch", STEPPED_CARE, "--site", site, "--json").document
    assert any("urn:lab|K" in template for template in found.values())
