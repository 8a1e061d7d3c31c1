"""A clinician reads a criterion, and its opposite, in words."""

import pytest
from builders.kinds import KINDS, criterion

from cds_engine.criteria.syntax import Not
from cds_engine.criteria.words import criterion_words


@pytest.mark.parametrize(
    ("text", "words", "opposite"),
    [
        ("sbp < 140", "systolic pressure is below 140 mm[Hg]",
         "systolic pressure is 140 mm[Hg] or higher"),
        ("sbp <= 140", "systolic pressure is 140 mm[Hg] or lower",
         "systolic pressure is above 140 mm[Hg]"),
        ("sbp > 140", "systolic pressure is above 140 mm[Hg]",
         "systolic pressure is 140 mm[Hg] or lower"),
        ("sbp >= 140", "systolic pressure is 140 mm[Hg] or higher",
         "systolic pressure is below 140 mm[Hg]"),
        ("sbp == 140", "systolic pressure is exactly 140 mm[Hg]",
         "systolic pressure is not 140 mm[Hg]"),
        ("sbp != 140", "systolic pressure is not 140 mm[Hg]",
         "systolic pressure is exactly 140 mm[Hg]"),
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
        ("step is lifestyle", "step is lifestyle", "step is not lifestyle"),
        ("step is none", "step is nothing yet", "step is not nothing yet"),
        ("step in [none, lifestyle]", "step is nothing yet or lifestyle",
         "step is neither nothing yet nor lifestyle"),
        ("missing(sbp)", "systolic pressure is not known", "systolic pressure is known"),
        ("true", "always", "never"),
        ("false", "never", "always"),
        ("pregnant and smoker", "pregnant: yes and smoker: yes", "pregnant: no or smoker: no"),
        ("pregnant or smoker", "pregnant: yes or smoker: yes", "pregnant: no and smoker: no"),
        ("pregnant and (smoker or sbp > 1)",
         "pregnant: yes and (smoker: yes or systolic pressure is above 1 mm[Hg])",
         "pregnant: no or (smoker: no and systolic pressure is 1 mm[Hg] or lower)"),
        ("pregnant and not (smoker and sbp > 1)",
         "pregnant: yes and (smoker: no or systolic pressure is 1 mm[Hg] or lower)",
         "pregnant: no or (smoker: yes and systolic pressure is above 1 mm[Hg])"),
        ("not not pregnant", "pregnant: yes", "pregnant: no"),
    ],
)  # fmt: skip
def test_every_node_and_its_negation_is_said_in_words(text: str, words: str, opposite: str) -> None:
    found = criterion(text, allow_missing=True)
    assert criterion_words(found, KINDS) == words
    assert criterion_words(found, KINDS, negated=True) == opposite
    assert criterion_words(Not(found), KINDS) == opposite


def test_what_is_no_criterion_has_no_words() -> None:
    with pytest.raises(TypeError, match="no words for object"):
        criterion_words(object(), KINDS)  # type: ignore[arg-type]
