"""What a version was learned from is known only where its evidence says it."""

import json

import pytest

from cds_engine.fit.learned_from import LearnedFrom, learned_from


def test_a_version_without_evidence_was_not_fitted() -> None:
    assert learned_from(None) is None


def test_the_evidence_names_the_table_and_the_records() -> None:
    data = {"what": "a table", "digest": "sha256:aa", "rows": 9, "records": "sha256:bb"}
    assert learned_from(json.dumps({"data": data}).encode()) == LearnedFrom(
        "sha256:aa", "sha256:bb"
    )


@pytest.mark.parametrize(
    "evidence",
    [
        pytest.param(b"no JSON", id="no JSON"),
        pytest.param(b"\xff", id="no text"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"{}", id="nothing of the data"),
        pytest.param(b'{"data": "mine"}', id="data in words"),
        pytest.param(b'{"data": {"digest": 7}}', id="a digest that is a number"),
    ],
)
def test_evidence_of_another_form_says_nothing_of_the_data(evidence: bytes) -> None:
    assert learned_from(evidence) == LearnedFrom()


@pytest.mark.parametrize(
    ("table", "records", "same"),
    [
        pytest.param("aa", "", True, id="the same table"),
        pytest.param("cc", "bb", True, id="another table of the same records"),
        pytest.param("cc", "dd", False, id="other records"),
        pytest.param("cc", "", False, id="another table of unknown records"),
        pytest.param("", "", False, id="nothing known"),
    ],
)
def test_data_are_the_same_by_table_or_by_records(table: str, records: str, same: bool) -> None:
    assert LearnedFrom("aa", "bb").is_of(table, records) is same
    assert not LearnedFrom().is_of(table, records)
