"""A simulated trial has the shares, means, spread and correlations that its design states."""

from typing import Any

import numpy as np
import pytest
from builders.designs import a_design, a_model, assumed, eight_sequences, three_arms, three_stages

from cds_engine.design import DesignQuestionError, OutcomeModel, read_design
from cds_engine.design.simulate import COVARIATE, Simulator

N = 60_000


@pytest.mark.parametrize("document", [a_design(), three_arms(), eight_sequences(), three_stages()])
def test_each_end_has_its_share_mean_and_spread(document: dict[str, Any]) -> None:
    design = read_design(document)
    means = {" > ".join(end): float(at) for at, end in enumerate(design.ends)}
    model = a_model(document, 0.3, means=means, sd=2.0, rho=0.6, response_rho=0.5)
    end, y, x = Simulator(model).ends(N, np.random.default_rng(1))
    expected = model.expected(1)
    for at, path in enumerate(design.ends):
        here = end == at
        share, k = expected[path], int(here.sum())
        assert abs(here.mean() - share) < 4 * np.sqrt(share * (1 - share) / N)
        assert abs(y[here].mean() - at) < 4 * 2 / np.sqrt(k)
        assert abs(y[here].std() - 2) < 4 * 2 / np.sqrt(2 * k)
        assert abs(np.corrcoef(x[here], y[here])[0, 1] - 0.6) < 4 * 0.64 / np.sqrt(k) + 0.002


def test_the_covariate_tells_of_response_as_stated_and_nothing_of_the_arm() -> None:
    model = a_model(a_design(), 0.3, response_rho=0.5)
    table = Simulator(model).table(N, 2)
    x, responder = table[COVARIATE], table["responder"].astype(bool)
    # a score that is correlated 0.5 with X and above its 70 % quantile: 0.5 phi(q) / 0.3
    assert x[responder].mean() == pytest.approx(0.5 * 0.34769 / 0.3, abs=0.02)
    assert x[table["action_first"] == "a"].mean() == pytest.approx(0, abs=0.02)
    assert x.std() == pytest.approx(1, abs=0.01)


def test_a_binary_outcome_has_its_probabilities() -> None:
    document = assumed(a_design(), 0.5, means={"a > responders": 0.8})
    document["outcome"] = {"label": "Remission", "kind": "binary"}
    mean = {end: max(value, 0.2) for end, value in document["assume"]["mean"].items()}
    document["assume"] = {"response": document["assume"]["response"], "mean": mean}
    model = OutcomeModel.of(read_design(document))
    end, y, _ = Simulator(model).ends(N, np.random.default_rng(3))
    assert set(y) == {0.0, 1.0}
    assert y[end == 0].mean() == pytest.approx(0.8, abs=0.02)
    assert y[end == 1].mean() == pytest.approx(0.2, abs=0.02)
    assert model.variance["a", "responders"] == pytest.approx(0.16)


def test_the_table_holds_what_the_design_names_and_nothing_for_whoever_was_not_asked() -> None:
    table = Simulator(a_model(three_stages())).table(200, 4)
    assert list(table) == ["id", "action_first", "responder", "action_second", "late_responder",
                           "action_third", "outcome"]  # fmt: skip
    b = table["action_first"] == "b"
    assert all(v is None for v in table["responder"][b])
    assert all(v is None for v in table["action_second"][table["responder"] == True])  # noqa: E712 - of objects
    asked = np.array([v is not None for v in table["late_responder"]])
    assert (asked == (table["action_second"] == "c")).all()
    assert len(set(table["id"])) == 200


def test_the_same_seed_gives_the_same_trial() -> None:
    simulator = Simulator(a_model(a_design()))
    one, same, other = (simulator.table(50, seed)["outcome"] for seed in (5, 5, 6))
    assert (one == same).all()
    assert not (one == other).all()


def test_nobody_cannot_be_simulated() -> None:
    with pytest.raises(DesignQuestionError, match="0 patients cannot be simulated"):
        Simulator(a_model(a_design())).table(0)
