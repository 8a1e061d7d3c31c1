"""What changed between two versions is said part by part, and nothing else is."""

import pytest
from builders.bundles import a_document, a_stage, bundle_of
from builders.rule_texts import TEXT, pressure
from builders.shipped import RULES, shipped

from cds_engine.bundle.change import Change, field_changes, paired, shown
from cds_engine.bundle.difference import difference
from cds_engine.bundle.read import read_bundle

REGIMES = sorted(folder.name for folder in RULES.iterdir() if folder.is_dir())


def changes(*replacements: tuple[str, str]) -> list[tuple[str, str, str, str, str]]:
    found = difference(pressure(), pressure(*replacements))
    return [(c.place, c.kind, c.what, c.before, c.after) for c in found]


@pytest.mark.parametrize("regime", REGIMES)
def test_a_bundle_does_not_differ_from_itself(regime: str) -> None:
    assert difference(shipped(regime), shipped(regime)) == ()


def test_the_way_it_is_written_makes_no_difference() -> None:
    spread = TEXT.replace(
        "when: pregnant or potassium > 5.5", "when: 'pregnant  or 5.5 < potassium'"
    )
    spread = spread.replace("derive: sbp >= 140", "derive: (sbp   >= 140.0)")
    assert difference(read_bundle({"bundle.yaml": TEXT.encode()}),
                      read_bundle({"bundle.yaml": spread.encode()})) == ()  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(
            "version: 1.0.0", "version: 1.1.0",
            ("version", "changed", "version", "1.0.0", "1.1.0"), id="version",
        ),
        pytest.param(
            "review_by: 2027-01-01\n", "",
            ("review_by", "removed", "review_by", "2027-01-01", ""), id="a date that is gone",
        ),
        pytest.param(
            "title: Pressure\n", "title: Pressure\nsource: https://example.org\n",
            ("source", "added", "source", "", "https://example.org"), id="a field that is new",
        ),
        pytest.param(
            "better: lower, because", "better: higher, because",
            ("aim.better", "changed", "aim: better", "lower", "higher"), id="aim",
        ),
        pytest.param(
            "[Not for children., Not for emergencies.]", "[Not for emergencies., Not for sale.]",
            ("about.cautions", "changed", "about: cautions", "Not for children.", "Not for sale."),
            id="of a list, what went and what came",
        ),
        pytest.param(
            "[Not for children., Not for emergencies.]",
            "[Not for emergencies., Not for children.]",
            ("about.cautions", "moved", "about: cautions, order",
             "Not for children., Not for emergencies.", "Not for emergencies., Not for children."),
            id="a list in another order",
        ),
        pytest.param(
            "population: age >= 18", "population: age >= 21",
            ("population", "changed", "population: threshold of Age", ">= 18 a", ">= 21 a"),
            id="threshold of the population",
        ),
        pytest.param(
            "population: age >= 18", "population: age > 18",
            ("population", "changed", "population: threshold of Age", ">= 18 a", "> 18 a"),
            id="a boundary that is no longer included",
        ),
        pytest.param(
            "population: age >= 18", "population: age >= 18 and not pregnant",
            ("population", "changed", "population: criterion", "Age is 18 years or higher",
             "Age is 18 years or higher and Pregnancy: no"),
            id="another criterion",
        ),
        pytest.param(
            "derive: sbp >= 140", "derive: sbp >= 130",
            ("variables.high.derive", "changed", "variable high: threshold of Pressure",
             ">= 140 mm[Hg]", ">= 130 mm[Hg]"),
            id="threshold of a derived variable",
        ),
        pytest.param(
            "derive: sbp_before - sbp", "derive: sbp - sbp_before",
            ("variables.fall.derive", "changed", "variable fall: expression", "sbp_before - sbp",
             "sbp - sbp_before"),
            id="a derived number",
        ),
        pytest.param(
            "within: P180D", "within: P90D",
            ("variables.potassium.within", "changed", "variable potassium: within", "P180D",
             "P90D"),
            id="a window",
        ),
        pytest.param(
            "codes: [snomed|77386006]", "codes: [snomed|77386006, snomed|72892002]",
            ("variables.pregnant.codes", "changed", "variable pregnant: codes", "",
             "snomed|72892002"),
            id="a code that is new",
        ),
        pytest.param(
            "absent: unknown", "absent: false",
            ("variables.pregnant.absent", "changed", "variable pregnant: absent", "unknown", "no"),
            id="what absence means",
        ),
        pytest.param(
            "label: Wait", "label: Wait and see",
            ("actions.wait.label", "changed", "action wait: label", "Wait", "Wait and see"),
            id="a label",
        ),
        pytest.param(
            "potassium > 5.5", "potassium > 5.0",
            ("safeguards[0].when", "changed", "safeguard: threshold of Potassium",
             "> 5.5 mmol/L", "> 5 mmol/L"),
            id="threshold of a safeguard",
        ),
        pytest.param(
            "never: [start]", "never: [start, other]",
            ("safeguards[0]", "changed", "safeguard: actions", "", "other"),
            id="actions of a safeguard",
        ),
        pytest.param(
            "It harms the child.", "It harms.",
            ("safeguards[0].because", "changed", "safeguard: reason", "It harms the child.",
             "It harms."),
            id="reason of a safeguard",
        ),
        pytest.param(
            "title: Later on", "title: Later",
            ("stages[1].title", "changed", "stage later: title", "Later on", "Later"),
            id="title of a stage",
        ),
        pytest.param(
            "sbp >= 160", "sbp >= 170",
            ("stages[0].rule[1].rule[0].when", "changed",
             "stage first: branch: threshold of Pressure", ">= 160 mm[Hg]", ">= 170 mm[Hg]"),
            id="threshold of a nested branch",
        ),
        pytest.param(
            "instead: other", "instead: wait",
            ("stages[0].rule[1].rule[0].instead", "changed", "stage first: branch: instead",
             "other", "wait"),
            id="instead",
        ),
        pytest.param(
            "Very high.", "High.",
            ("stages[0].rule[1].rule[0].because", "changed", "stage first: branch: reason",
             "Very high.", "High."),
            id="reason of a branch",
        ),
        pytest.param(
            "{otherwise: wait, because: Not high.}",
            "{otherwise: [wait, other], because: Not high.}",
            ("stages[0].rule[2]", "changed", "stage first: branch: answer", "Wait",
             "Start the other drug or Wait"),
            id="answer of a branch",
        ),
        pytest.param(
            "abstain: Measure first.", "abstain: Measure it.",
            ("stages[0].rule[0]", "changed", "stage first: branch: answer",
             "no advice: Measure first.", "no advice: Measure it."),
            id="words of an abstention",
        ),
        pytest.param(
            "      - {when: missing(sbp), abstain: Measure first.}\n", "",
            ("stages[0].rule[0]", "removed", "stage first: branch",
             "Pressure is not known: no advice: Measure first.", ""),
            id="a branch that is gone",
        ),
        pytest.param(
            "      - {otherwise: wait,",
            "      - {when: pregnant, then: wait, because: Wait.}\n      - {otherwise: wait,",
            ("stages[0].rule[2]", "added", "stage first: branch", "", "Pregnancy: yes: Wait"),
            id="a branch that is new",
        ),
        pytest.param(
            "margin: 2", "margin: 3",
            ("stages[1].rule.margin", "changed", "stage later: margin", "2", "3"), id="margin",
        ),
        pytest.param(
            "fall: -0.5", "fall: -0.6",
            ("stages[1].rule.scores.other", "changed", "stage later: score of other, fall",
             "-0.5", "-0.6"),
            id="a weight",
        ),
        pytest.param(
            "terms: {high: 4}", "terms: {high: 4, pregnant: 1}",
            ("stages[1].rule.scores.wait", "added", "stage later: score of wait, pregnant", "",
             "1"),
            id="a term that is new",
        ),
        pytest.param(
            "when: age < 80", "when: age < 75",
            ("stages[1].rule.support[0].when", "changed", "stage later: support: threshold of Age",
             "< 80 a", "< 75 a"),
            id="threshold of the support",
        ),
    ],
)  # fmt: skip
def test_one_change_is_said_once(old: str, new: str, expected: tuple[str, ...]) -> None:
    assert changes((old, new)) == [expected]


def test_a_variable_that_is_read_instead_of_computed_is_another_definition() -> None:
    found = changes(
        ("fall: {derive: sbp_before - sbp, label: Fall}",
         "fall: {from: patient.age, unit: a, label: Fall}"),
    )  # fmt: skip
    assert [(place, kind) for place, kind, *_ in found] == [
        ("variables.fall.from", "added"),
        ("variables.fall.derive", "removed"),
        ("variables.fall.unit", "added"),
    ]


def test_branches_in_another_order_are_a_change_of_their_own() -> None:
    first = "          - {when: sbp >= 160, then: start, instead: other, because: Very high.}\n"
    second = "          - {when: sbp >= 150, then: other, because: Quite high.}\n"
    old = pressure((first, first + second))
    new = pressure((first, second + first))
    [change] = difference(old, new)
    assert (change.kind, change.what) == ("moved", "stage first: order of the branches")
    assert change.place == "stages[0].rule[1].rule"
    assert change.before.startswith("Pressure is 160 mmHg or higher; Pressure is 150 mmHg or")


def test_safeguards_are_found_again_wherever_they_stand() -> None:
    guard = (
        "  - {never: [start], when: pregnant or potassium > 5.5, because: It harms the child.}\n"
    )
    more = "  - {never: [other], when: age > 90, because: Too old.}\n"
    assert difference(pressure((guard, guard + more)), pressure((guard, more + guard))) == ()
    [added] = difference(pressure(), pressure((guard, more + guard)))
    assert (added.kind, added.after) == ("added", "other: Age is above 90 years")
    [removed] = difference(pressure((guard, more + guard)), pressure())
    assert (removed.kind, removed.before) == ("removed", "other: Age is above 90 years")


def test_parts_that_are_new_or_gone_are_shown_whole() -> None:
    stage = (
        "  - stage: never\n    when: age < 0\n    choose: [wait]\n"
        "    rule: [{otherwise: wait, because: Never.}]\n"
    )
    new = pressure(
        ("  wait: {label", "  more: {label: Do more}\n  wait: {label"),
        ("  - stage: later\n", f"{stage}  - stage: later\n"),
    )
    found = {(c.kind, c.what): c for c in difference(pressure(), new)}
    assert found["added", "action more"].after == "label: Do more"
    assert found["added", "stage never"].after == "Age is below 0 years"
    back = {(c.kind, c.what): c for c in difference(new, pressure())}
    assert back["removed", "action more"].before == "label: Do more"
    assert back["removed", "stage never"].before == "Age is below 0 years"


def test_the_order_of_stages_is_said() -> None:
    at = TEXT.index("  - stage: first")
    second = TEXT.index("  - stage: later")
    turned = TEXT[:at] + TEXT[second:].rstrip() + "\n" + TEXT[at:second]
    [change] = difference(*(read_bundle({"bundle.yaml": t.encode()}) for t in (TEXT, turned)))
    assert (change.kind, change.before, change.after) == ("moved", "first, later", "later, first")


def test_a_list_that_becomes_scores_is_another_form() -> None:
    listed = TEXT[TEXT.index("      better: lower") :]
    as_list = ("      - {when: high, then: other, because: High.}\n"
               "      - {otherwise: wait, because: Not.}\n")  # fmt: skip
    [change] = difference(pressure(), pressure((listed, as_list)))
    assert change.what == "stage later: form of the rule"
    assert (change.before, change.after) == ("scores of other, wait", "a list of 2 branches")


def test_cases_are_compared_with_their_defaults_put_in() -> None:
    given = "{age: 50, sbp: 150, step: none}"
    same = f"cases: [{{case: high, given: {given}, expect: {{outcome: equipoise}}}}]"
    assert difference(pressure(), pressure(cases=same)) == ()
    died = "cases: [{case: died, deceased: true, expect: {outcome: not_applicable}}]"
    gone, new = difference(pressure(), pressure(cases=died))
    assert (gone.kind, gone.what) == ("removed", "case: high")
    assert gone.before == "age: 50, sbp: 150, step: none, expect: outcome: equipoise"
    assert (new.kind, new.after) == ("added", "deceased: yes, expect: outcome: not_applicable")


def test_what_is_nowhere_in_a_document_has_no_words() -> None:
    with pytest.raises(TypeError, match="no words for object"):
        shown(object())


def test_an_empty_field_was_not_there() -> None:
    assert list(field_changes("a", "b", None, ())) == []
    assert list(field_changes("a", "b", (), ("x",))) == [Change("a", "added", "b", "", "x")]


def test_parts_are_paired_by_sameness_before_likeness() -> None:
    def first(text: str) -> str:
        return text[0]

    pairs = paired(["a1", "b1", "c1"], ["b2", "a1", "d1"], lambda text: text, [first])
    assert pairs == [("b1", "b2"), ("a1", "a1"), (None, "d1"), ("c1", None)]


def test_other_estimates_are_a_change_though_they_decide_nothing() -> None:
    estimates = {"outcome": "steps", "method": "by hand",
                 "groups": [{"when": "b0", "n": {"a0": 4}}]}  # fmt: skip
    stage = a_stage([{"when": "b0", "then": "a0"}, {"otherwise": "keep"}])
    old = bundle_of(a_document(stages=[{**stage, "estimates": estimates}]))
    more = {**estimates, "groups": [{"when": "b0", "n": {"a0": 5}}]}
    new = bundle_of(a_document(stages=[{**stage, "estimates": more}]))
    assert [change.place for change in difference(old, new)] == ["stages[0].estimates.groups"]
