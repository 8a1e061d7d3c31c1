import pytest

from cds_engine.estimate.near_names import did_you_mean

HELD = ["key.patient", "taken.action", "outcome.value", "outcome.state", "sbp", "age"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        pytest.param("sbp_six_months", "`sbp`", id="one that is a part of the name"),
        pytest.param("outcome", "`outcome.value` or `outcome.state`", id="those it is a part of"),
        pytest.param("taken.acton", "`taken.action`", id="one written alike"),
        pytest.param("patient", "`key.patient`", id="the last part of one"),
    ],
)
def test_near_names_are_proposed(name: str, said: str) -> None:
    assert did_you_mean(name, HELD) == f"; did you mean {said}?"


def test_nothing_is_proposed_where_nothing_is_near() -> None:
    assert did_you_mean("weight", HELD) == ""
    assert did_you_mean("bsp_", ["sb"]) == ""
