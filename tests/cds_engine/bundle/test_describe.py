"""A description says everything that a rule bundle says, in words."""

import pytest
from builders.rule_texts import pressure
from builders.shipped import RULES, shipped

from cds_engine.bundle.describe import describe, variable_row

REGIMES = sorted(folder.name for folder in RULES.iterdir() if folder.is_dir())


def test_the_head_says_for_whom_and_what_for() -> None:
    said = describe(pressure())
    assert (said.regime, said.version, said.title) == ("pressure", "1.0.0", "Pressure")
    assert said.aim == "lower pressure (mmHg), 6 months after the decision. Fewer strokes."
    assert said.population_text == "age >= 18"
    assert said.population == "Age is 18 years or higher"
    assert said.dates == (("review by", "2027-01-01"),)
    assert said.cases == 1


def test_the_aim_counts_from_what_it_says() -> None:
    from_start = ("aim: {outcome: sbp, at: P6M,", "aim: {outcome: sbp, at: P6M, from: start,")
    assert ", 6 months after the start." in describe(pressure(from_start)).aim


def test_an_aim_that_is_no_variable_is_named_as_it_stands() -> None:
    old = 'aim: {outcome: sbp, at: P6M, unit: "mm[Hg]", better: lower, because: Fewer strokes.}'
    said = describe(pressure((old, "aim: {outcome: strokes, better: lower}")))
    assert said.aim == "lower strokes"


def test_each_caution_stands_by_itself() -> None:
    assert describe(pressure()).about == (
        ("developer", "Us"),
        ("cautions", "Not for children."),
        ("cautions", "Not for emergencies."),
    )


def test_without_about_nothing_is_said_of_it() -> None:
    old = "about: {developer: Us, cautions: [Not for children., Not for emergencies.]}\n"
    assert describe(pressure((old, ""))).about == ()


@pytest.mark.parametrize(
    ("name", "source", "taken", "unit", "missing"),
    [
        ("age", "date of birth", "completed units of age", "a", "no record means unknown"),
        ("sbp", "measurements and answers", "the mean of the last 30 days", "mm[Hg]",
         "no record means unknown"),
        ("potassium", "measurements and answers", "the latest of the last 180 days", "mmol/L",
         "no record means unknown"),
        ("pregnant", "problem list", "whether it is there and not over", "yes or no",
         "no record means unknown"),
        ("supply", "medications", "share of days covered by the supply of the last 6 months", "",
         "no record means unknown"),
        ("sbp_before", "measurements and answers",
         "the mean of 30 days up to when `Start the drug` first began", "mm[Hg]",
         "no record means unknown"),
        ("step", "steps of this regime", "the latest step that began",
         "none or other or start or wait",
         "no record means that no step began, if the search was complete"),
        ("high", "computed", "Pressure is 140 mmHg or higher", "yes or no",
         "unknown where what it is computed from leaves it open"),
        ("fall", "computed", "sbp_before - sbp", "mm[Hg]",
         "unknown where what it is computed from leaves it open"),
    ],
)  # fmt: skip
def test_a_variable_says_where_it_comes_from_and_how(
    name: str, source: str, taken: str, unit: str, missing: str
) -> None:
    row = variable_row(pressure(), name)
    assert (row.source, row.taken, row.unit, row.missing) == (source, taken, unit, missing)


def test_a_condition_whose_absence_means_no_says_so() -> None:
    row = variable_row(pressure(("absent: unknown", "absent: false")), "pregnant")
    assert row.missing == "no record means no, if the search was complete"


def test_a_count_of_nothing_is_none() -> None:
    counted = "{from: observation, codes: [loinc|8480-6], take: count, within: P30D}"
    bundle = pressure(("  step: {", f"  readings: {counted}\n  step: {{"))
    row = variable_row(bundle, "readings")
    assert row.taken == "how many there are of the last 30 days"
    assert row.missing == "no record means none, if the search was complete"


def test_codes_units_and_range_are_shown() -> None:
    row = variable_row(pressure(), "potassium")
    assert (row.codes, row.other_units, row.plausible) == (("loinc|2823-3",), ("meq/L",), "")
    assert variable_row(pressure(), "sbp").plausible == "60 to 280"
    assert variable_row(pressure(), "high").expression == "sbp >= 140"


def test_an_action_says_what_would_be_ordered() -> None:
    start, other, wait = describe(pressure()).actions
    assert start.order == "MedicationRequest rxnorm|314076: Start the drug; once a day"
    assert (start.kind, start.change, start.seen_as) == ("drug", True, ("rxnorm|314076",))
    assert (other.order, wait.change) == ("", False)


def test_a_safeguard_is_said_in_words() -> None:
    [guard] = describe(pressure()).safeguards
    assert guard.actions == ("start",)
    assert guard.text == "pregnant or potassium > 5.5"
    assert guard.words == "Pregnancy: yes or Potassium is above 5.5 mmol/L"
    assert guard.because == "It harms the child."


def test_a_list_becomes_numbered_rows_with_nested_ones_under_their_line() -> None:
    stage = describe(pressure()).stages[0]
    assert (stage.name, stage.title, stage.words) == ("first", "first", "Step is nothing yet")
    assert [(row.number, row.words, row.leads_to) for row in stage.rows] == [
        ("1", "Pressure is not known", "no advice: Measure first."),
        ("2", "High pressure: yes", "lines 2.1 to 2.2"),
        ("2.1", "Pressure is 160 mmHg or higher",
         "Start the drug; if barred: Start the other drug"),
        ("2.2", "everybody else", "Start the drug or Start the other drug, equally good"),
        ("3", "everybody else", "Wait"),
    ]  # fmt: skip
    assert [row.place for row in stage.rows][2] == "stages[0].rule[1].rule[0]"
    assert stage.rows[2].instead == ("other",)
    assert stage.scores is None


def test_a_step_is_said_by_the_label_of_its_action_and_another_label_by_itself() -> None:
    answers = "answers: {loinc|LA15173-0: not_pregnant, loinc|LA26683-5: unsure}"
    status = f"  status: {{from: observation, label: Status, codes: [loinc|82810-3], {answers}}}\n"
    guard = "when: pregnant or potassium > 5.5"
    bundle = pressure(
        ("  step: {", f"{status}  step: {{"),
        (guard, 'when: "step in [none, start, other] or status is not not_pregnant"'),
    )
    [said] = describe(bundle).safeguards
    assert said.words == (
        "Step is nothing yet or “Start the drug” or “Start the other drug” "
        "or Status is not “not pregnant”"
    )


def test_scores_become_a_table_of_terms_with_their_units() -> None:
    stage = describe(pressure()).stages[1]
    assert (stage.title, stage.rows) == ("Later on", ())
    assert stage.scores is not None
    assert stage.scores.words == (
        "the option with the lowest score; those within 2 points of it are equally good"
    )
    assert [(t.action, t.label, t.unit, t.weight) for t in stage.scores.terms] == [
        ("other", "constant", "", "10"),
        ("other", "Fall", "mm[Hg]", "-0.5"),
        ("other", "Adherence", "", "2"),
        ("wait", "constant", "", "0"),
        ("wait", "High pressure", "if yes", "4"),
    ]
    [support] = stage.scores.support
    assert (support.actions, support.words) == (("other",), "Age is below 80 years")
    assert stage.scores.because == "The lower risk."


def test_the_highest_score_wins_unless_lower_is_better() -> None:
    stage = describe(pressure(("better: lower\n      margin: 2\n", "margin: 0\n"))).stages[1]
    assert stage.scores is not None
    assert stage.scores.words == "the option with the highest score"


@pytest.mark.parametrize("regime", REGIMES)
def test_a_shipped_bundle_is_described_whole(regime: str) -> None:
    bundle = shipped(regime)
    said = describe(bundle)
    assert [row.name for row in said.variables] == list(bundle.variables)
    assert [row.name for row in said.actions] == list(bundle.actions)
    assert [stage.name for stage in said.stages] == [stage.name for stage in bundle.stages]
    rows = [row for stage in said.stages for row in stage.rows]
    assert all(row.words and row.leads_to for row in rows)
