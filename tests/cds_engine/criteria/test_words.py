"""A clinician reads a criterion, and its opposite, in words."""

import pytest
from builders.kinds import KINDS

from cds_engine.criteria.parse import parse_criterion
from cds_engine.criteria.syntax import Not
from cds_engine.criteria.words import criterion_words
from cds_engine.vocabulary.kind import Kind

NAMES = KINDS | {
    "weeks": Kind("number", "time on step", "wk", 0),
    "begun": Kind(
        "label",
        "last step",
        labels=frozenset({"none", "lifestyle", "add_ace"}),
        spoken=(("add_ace", "“Start an ACE_inhibitor”"),),
    ),
}


@pytest.mark.parametrize(
    ("text", "words", "opposite"),
    [
        ("sbp < 140", "systolic pressure is below 140 mmHg",
         "systolic pressure is 140 mmHg or higher"),
        ("sbp <= 140", "systolic pressure is 140 mmHg or lower",
         "systolic pressure is above 140 mmHg"),
        ("sbp > 140", "systolic pressure is above 140 mmHg",
         "systolic pressure is 140 mmHg or lower"),
        ("sbp >= 140", "systolic pressure is 140 mmHg or higher",
         "systolic pressure is below 140 mmHg"),
        ("sbp == 140", "systolic pressure is exactly 140 mmHg",
         "systolic pressure is not 140 mmHg"),
        ("sbp != 140", "systolic pressure is not 140 mmHg",
         "systolic pressure is exactly 140 mmHg"),
        ("count >= 3", "count is 3 or higher", "count is below 3"),
        ("steps > 1.1 * steps_before", "steps is above 1.1 times steps before",
         "steps is 1.1 times steps before or lower"),
        ("-sbp + 2 * dbp < 10 - 0.5 * sbp",
         ("minus systolic pressure plus 2 times diastolic pressure is below minus 0.5 times "
         "systolic pressure plus 10"),
         ("minus systolic pressure plus 2 times diastolic pressure is minus 0.5 times systolic "
         "pressure plus 10 or higher")),
        ("sbp - 1 > dbp - 2",
         "systolic pressure minus 1 is above diastolic pressure minus 2",
         "systolic pressure minus 1 is diastolic pressure minus 2 or lower"),
        ("0 <= sbp - dbp",
         "0 is systolic pressure minus diastolic pressure or lower",
         "0 is above systolic pressure minus diastolic pressure"),
        ("pregnant", "pregnant: yes", "pregnant: no"),
        ("age >= 18", "age is 18 years or higher", "age is below 18 years"),
        ("weeks > 12", "time on step is above 12 weeks", "time on step is 12 weeks or lower"),
        ("step is lifestyle", "step is lifestyle", "step is not lifestyle"),
        ("step is add_ace", "step is “add ace”", "step is not “add ace”"),
        ("begun is add_ace", "last step is “Start an ACE_inhibitor”",
         "last step is not “Start an ACE_inhibitor”"),
        ("begun in [none, add_ace, lifestyle]",
         "last step is nothing yet or “Start an ACE_inhibitor” or lifestyle",
         "last step is neither nothing yet nor “Start an ACE_inhibitor” nor lifestyle"),
        ("step is none", "step is nothing yet", "step is not nothing yet"),
        ("step in [none, lifestyle]", "step is nothing yet or lifestyle",
         "step is neither nothing yet nor lifestyle"),
        ("missing(sbp)", "systolic pressure is not known", "systolic pressure is known"),
        ("true", "always", "never"),
        ("false", "never", "always"),
        ("pregnant and smoker", "pregnant: yes and smoker: yes", "pregnant: no or smoker: no"),
        ("pregnant or smoker", "pregnant: yes or smoker: yes", "pregnant: no and smoker: no"),
        ("pregnant and (smoker or sbp > 1)",
         "pregnant: yes and (smoker: yes or systolic pressure is above 1 mmHg)",
         "pregnant: no or (smoker: no and systolic pressure is 1 mmHg or lower)"),
        ("pregnant and not (smoker and sbp > 1)",
         "pregnant: yes and (smoker: no or systolic pressure is 1 mmHg or lower)",
         "pregnant: no or (smoker: yes and systolic pressure is above 1 mmHg)"),
        ("not not pregnant", "pregnant: yes", "pregnant: no"),
    ],
)  # fmt: skip
def test_every_node_and_its_negation_is_said_in_words(text: str, words: str, opposite: str) -> None:
    found = parse_criterion(text, NAMES, allow_missing=True)
    assert criterion_words(found, NAMES) == words
    assert criterion_words(found, NAMES, negated=True) == opposite
    assert criterion_words(Not(found), NAMES) == opposite


def test_what_is_no_criterion_has_no_words() -> None:
    with pytest.raises(TypeError, match="no words for object"):
        criterion_words(object(), KINDS)  # type: ignore[arg-type]
