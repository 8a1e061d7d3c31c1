"""Whoever looks for something asks the gaps of its kinds and codes, and of no others."""

import pytest
from builders.records import LISINOPRIL, a_record, at

from cds_engine.history.course import COURSE_KINDS
from cds_engine.history.event import BEGINNING, Gap
from cds_engine.history.gaps import gap_for, gap_starts, gaps_at

OTHER = "rxnorm|1"


@pytest.mark.parametrize(
    "key",
    ["*", "kind:request", "kind:service", f"request:{LISINOPRIL}", f"procedure:{LISINOPRIL}",
     f"code:{LISINOPRIL}"],
)  # fmt: skip
def test_what_may_have_been_an_order_of_the_drug_is_missing(key: str) -> None:
    assert gap_for({key: "it was cut"}, COURSE_KINDS, [OTHER, LISINOPRIL]) == "it was cut"


@pytest.mark.parametrize(
    "key", ["sbp", "kind:allergy", f"allergy:{LISINOPRIL}", f"request:{OTHER}", f"code:{OTHER}"]
)
def test_what_cannot_have_been_one_is_not(key: str) -> None:
    assert gap_for({key: "it was cut"}, COURSE_KINDS, [LISINOPRIL]) is None


def test_without_gaps_nothing_is_missing() -> None:
    assert gap_for({}, COURSE_KINDS, [LISINOPRIL]) is None


def test_gaps_are_those_of_an_instant() -> None:
    since = at("2025-01-01T00:00")
    grown = (Gap(since, "one"), Gap(since + 2, "one; two"))
    record = a_record(gaps={"*": "one; two", "sbp": "no"}, gap_times={"*": grown})
    assert gaps_at(record, since - 1) == {"sbp": "no"}
    assert gaps_at(record, since) == gaps_at(record, since + 1) == {"*": "one", "sbp": "no"}
    assert gaps_at(record, since + 2) == record.gaps
    assert gap_starts(record) == {"*": since, "sbp": BEGINNING}
