"""What holds for every rule bundle that ships: complete, decidable, tested by its own cases."""

import re

import pytest
from builders.shipped import (
    NOW,
    RULES,
    case_name_pairs,
    case_result,
    case_results,
    given_values,
    shipped,
    sides,
    thresholds,
)

from cds_engine.bundle.model import DecisionList
from cds_engine.decide.cases import branches_without_case
from cds_engine.vocabulary.time import iso_date

REGIMES = sorted(folder.name for folder in RULES.iterdir() if folder.is_dir())


@pytest.mark.parametrize(("regime", "case"), case_name_pairs(REGIMES))
def test_a_case_comes_out_as_its_authors_expect(regime: str, case: str) -> None:
    assert case_result(regime, case).differences == ()


@pytest.mark.parametrize("regime", REGIMES)
def test_every_branch_speaks_in_a_case(regime: str) -> None:
    assert branches_without_case(shipped(regime), case_results(regime)) == ()


@pytest.mark.parametrize("regime", REGIMES)
def test_no_two_cases_have_one_name(regime: str) -> None:
    names = [result.case.case for result in case_results(regime)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("regime", REGIMES)
def test_every_threshold_has_a_case_on_it_and_one_beside_it(regime: str) -> None:
    bundle = shipped(regime)
    seen = given_values(regime)
    for threshold in thresholds(bundle):
        for value in sides(threshold, bundle.kinds[threshold.name].digits):
            assert any(given[threshold.name] == value for given in seen), (threshold, value)


@pytest.mark.parametrize("regime", REGIMES)
def test_every_input_is_missing_in_a_case(regime: str) -> None:
    seen = given_values(regime)
    always = [
        name for name in shipped(regime).base_variables if all(g[name] is not None for g in seen)
    ]
    assert always == []


@pytest.mark.parametrize("regime", REGIMES)
def test_every_variable_is_read_and_has_a_label(regime: str) -> None:
    bundle = shipped(regime)
    assert bundle.notes == ()
    assert [name for name, variable in bundle.variables.items() if not variable.label] == []


@pytest.mark.parametrize("regime", REGIMES)
def test_every_branch_that_speaks_says_why(regime: str) -> None:
    rules = [stage.rule for stage in shipped(regime).stages]
    branches = [
        branch for rule in rules if isinstance(rule, DecisionList) for branch in rule.walk()
    ]
    assert branches
    assert [b.place for b in branches if not (b.rule or b.because or b.abstain)] == []


@pytest.mark.parametrize("regime", REGIMES)
def test_who_stands_behind_it_and_what_it_is_not_for(regime: str) -> None:
    about = shipped(regime).document.about
    assert about is not None
    for field in (
        "developer", "contact", "funding", "intended_use", "intended_users", "cautions",
        "time_criticality", "citations", "evidence_date",
    ):  # fmt: skip
        assert getattr(about, field), field


@pytest.mark.parametrize("regime", REGIMES)
def test_it_is_not_overdue_for_review_when_it_is_released(regime: str) -> None:
    due = shipped(regime).document.review_by
    assert due is not None
    assert due > iso_date(NOW)


@pytest.mark.parametrize("regime", REGIMES)
def test_the_readme_says_of_every_code_where_it_was_confirmed(regime: str) -> None:
    bundle = shipped(regime)
    readme = (RULES / regime / bundle.version / "README.md").read_text("utf-8")
    listed = set(re.findall(r"`([a-z0-9][^`|]*\|[^`]+)`", readme))
    used = {code for variable in bundle.variables.values() for code in variable.codes}
    used |= {code for variable in bundle.variables.values() for code in variable.panels}
    used |= {code for variable in bundle.variables.values() for code in variable.answers}
    for action in bundle.actions.values():
        used |= set(action.seen_as) | ({action.order.code} if action.order else set())
    assert sorted(used - listed) == []
    assert sorted(listed - used) == []
