"""Age, sex and death of all decision points at once."""

from math import inf

import numpy as np

from cds_engine.history.elapsed import CREDIBLE
from cds_engine.history.table.answer import Answer
from cds_engine.history.table.calendar import completed
from cds_engine.history.table.columns import NEVER, UNDATED, Bools, Persons
from cds_engine.history.table.rows import Rows
from cds_engine.vocabulary.variable import SEXES, Variable

SEX_LABELS: tuple[str, ...] = tuple(sorted(SEXES))


def age(persons: Persons, rows: Rows, variable: Variable) -> Answer:
    """Return the completed units of age; where it is a span the scalar history is asked."""
    start, end = persons.born_start[rows.person], persons.born_end[rows.person]
    unknown = persons.born_precision[rows.person] == UNDATED
    backwards = start > rows.as_of
    unit = variable.unit or "a"
    oldest = completed(unit, np.minimum(start, rows.as_of), rows.as_of)
    youngest = completed(unit, np.minimum(end, rows.as_of), rows.as_of)
    answer = Answer(oldest.astype(np.float64))
    answer.lack(unknown, "absent")
    answer.lack(backwards | (end < CREDIBLE), "implausible")
    vague = persons.born_precision[rows.person] > 1
    vague |= (persons.born_precision[rows.person] == 0) & (start != end)
    answer.doubt = (answer.reasons == 0) & ((vague & (oldest != youngest)) | (start < CREDIBLE))
    low, high = variable.plausible or (0.0, inf)
    answer.lack((answer.values < low) | (answer.values > high), "implausible")
    return answer


def sex(persons: Persons, rows: Rows) -> Answer:
    """Return the administrative sex as a label."""
    meaning = [SEX_LABELS.index(sex) if sex in SEXES else -1 for sex in persons.sexes]
    recorded = persons.sex[rows.person]
    places = np.array([*meaning, -1], dtype=np.int64)[recorded]
    answer = Answer(np.maximum(places, 0).astype(np.uint8), categories=SEX_LABELS)
    answer.lack(recorded < 0, "absent")
    answer.lack(places < 0, "unresolved")
    return answer


def deceased(persons: Persons, rows: Rows) -> Bools:
    """Say in which rows the patient had died, as far as the record tells."""
    died = persons.died[rows.person]
    dead: Bools = (died <= rows.as_of) | ((died == NEVER) & persons.deceased[rows.person])
    return dead
