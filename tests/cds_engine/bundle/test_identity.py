"""A rule bundle is its files, to the byte; the digest names them all."""

import hashlib
import json
import subprocess
import sys

import pytest
from builders.records import a_bundle, a_document, files_of
from hypothesis import given
from hypothesis import strategies as st

from cds_engine.bundle.manifest import digest_of, manifest_bytes, manifest_of
from cds_engine.bundle.read import FILES, read_bundle
from cds_engine.errors import RuleBundleError

FIXED = {
    "bundle.yaml": b"""\
regime: fixed
version: 1.0.0
title: A fixed protocol
aim: {outcome: sbp, better: lower}
population: age >= 18
variables:
  age: {from: patient.age, unit: a}
actions:
  treat: {label: Treat}
stages:
  - stage: only
    when: true or age >= 0
    choose: [treat]
    rule:
      - {otherwise: treat}
""",
    "README.md": b"# Fixed\n",
}
DIGEST = "sha256:09efafb52d348127ff1a463e816d41798bf45d5e0560313f9dacc5482484d72e"


def test_the_digest_of_a_fixed_bundle_never_changes() -> None:
    assert manifest_of(FIXED) == {
        name: hashlib.sha256(data).hexdigest() for name, data in FIXED.items()
    }
    text = json.dumps(manifest_of(FIXED), sort_keys=True, separators=(",", ":"))
    assert manifest_bytes(manifest_of(FIXED)) == text.encode()
    assert read_bundle(FIXED).digest == DIGEST


def test_the_order_of_the_files_does_not_matter() -> None:
    assert read_bundle(dict(reversed(FIXED.items()))).digest == DIGEST


@given(st.sampled_from(sorted(FIXED)), st.data())
def test_any_other_byte_is_another_bundle(name: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(FIXED[name]) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda b: b != FIXED[name][at]))
    other = FIXED | {name: FIXED[name][:at] + bytes([byte]) + FIXED[name][at + 1 :]}
    assert digest_of(manifest_of(other)) != DIGEST


@pytest.mark.parametrize("name", sorted(FILES - {"bundle.yaml"}))
def test_one_file_more_or_less_is_another_bundle(name: str) -> None:
    other = dict(FIXED)
    if other.pop(name, None) is None:
        other[name] = b""
    assert digest_of(manifest_of(other)) != DIGEST


def test_gv_03_a_file_that_does_not_belong_is_refused() -> None:
    files = files_of(a_document()) | {"notes.txt": b"", "setup.py": b""}
    with pytest.raises(RuleBundleError) as caught:
        read_bundle(files)
    words = (
        "does not belong to a rule bundle, which holds README.md, bundle.yaml, cases.yaml, "
        "evidence.json; remove it"
    )
    assert [str(fault) for fault in caught.value.faults] == [
        f"notes.txt: {words}", f"setup.py: {words}",
    ]  # fmt: skip


def test_without_its_document_there_is_no_bundle() -> None:
    with pytest.raises(RuleBundleError) as caught:
        read_bundle({"cases.yaml": b"cases: []"})
    assert str(caught.value) == (
        "rule bundle cannot be used; 1 fault:\n"
        "  - there is no bundle.yaml; name the folder that holds it"
    )


def test_a_bundle_says_who_it_is() -> None:
    bundle = a_bundle()
    assert (bundle.regime, bundle.version, bundle.identity) == (
        "stepped-care", "1.0.0", "stepped-care@1.0.0",
    )  # fmt: skip
    assert bundle.stage("baseline").title == "baseline"
    with pytest.raises(KeyError):
        bundle.stage("later")
    assert set(bundle.variables) - set(bundle.base_variables) == {"uncontrolled"}


_PRINT = """
from builders.records import a_document, files_of
from cds_engine.bundle.read import read_bundle
document = a_document()
for n in range(8):
    others = [f"d{m}" for m in range(n + 1, 8)]
    document["variables"][f"d{n}"] = {"derive": " or ".join(["sbp > 1", *others])}
bundle = read_bundle(files_of(document))
print(list(bundle.kinds), [d.name for d in bundle.derived], bundle.notes, bundle.digest)
"""


def test_a_bundle_is_compiled_alike_whatever_the_hash_seed() -> None:
    paths = [path for path in sys.path if path]
    seen = {
        subprocess.run(
            [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}\n{_PRINT}"],
            env={"PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(seen) == 1
