"""Who died before the outcome has none: that is said with its number, or refused."""

import pytest

from cds_engine.errors import EstimationError
from cds_engine.estimate.deaths import deaths_note


def test_nothing_is_said_where_nobody_died() -> None:
    assert deaths_note(0, 100, "sbp") == ""


def test_deaths_are_said_apart_from_what_was_not_measured() -> None:
    note = deaths_note(10, 100, "sbp")
    assert note.startswith("10 of 100 patients (10.0%) died before sbp was measured")
    assert "does not exist for the dead" in note


def test_a_mean_over_too_many_dead_is_refused() -> None:
    with pytest.raises(EstimationError, match=r"11 of 100 .* more than the 10% that are accepted"):
        deaths_note(11, 100, "sbp")
    assert deaths_note(11, 100, "sbp", most=0.2)
