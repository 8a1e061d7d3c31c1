"""A replay's decision points are a long table: a row for each patient and stage, and its action."""

import pandas as pd

from cds_engine.errors import Fault, TrajectoriesError
from cds_engine.estimate.study import StudyDocument

STAGE = "decision.stage"
_PATIENT, _TAKEN, _AS_OF, _STATE = "key.patient", "taken.action", "key.as_of", "taken.state"


def decision_rows(study: StudyDocument, frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return one row for each patient and learned stage, and what was left out and why.

    A stage of the study is met under its own name or those of its parts. Of several decision
    points of a patient at one stage the first is kept. Rows whose action is none of the stage's,
    or is not told by the record, are left out and counted; so is a patient's whole course after
    such a row, for what follows it depends on what is not known.

    Raises:
        TrajectoriesError: if the table is not one that a replay has written.
    """
    absent = [n for n in (_PATIENT, STAGE, _TAKEN, _AS_OF, _STATE) if n not in frame]
    if absent:
        raise TrajectoriesError("the table", [
            Fault(name, "a replay's table has this column; name the decisions.parquet of a run")
            for name in absent
        ])  # fmt: skip
    served = {one.stage: one.stage for one in study.learned}
    served |= {part.stage: one.stage for one in study.learned for part in one.split}
    options = {one.stage: set(one.choose) for one in study.learned}
    here = frame.assign(**{STAGE: frame[STAGE].map(served)})
    here = here[here[STAGE].notna()].sort_values([_PATIENT, _AS_OF], kind="stable")
    first = here.drop_duplicates([_PATIENT, STAGE])
    known = pd.Series(
        [
            action in options[stage]
            for stage, action in zip(first[STAGE], first[_TAKEN], strict=True)
        ],
        index=first.index,
    )
    lost = (~known).groupby(first[_PATIENT]).cummax()
    kept = first[~lost]
    notes = [
        f"{len(frame) - len(here)} decision points are at no learned stage",
        f"{len(here) - len(first)} repeat a patient's stage; the first is used",
        f"{int(lost.sum())} have, or follow, an action that is none of the stage's or is not told",
    ]
    return kept, [note for note in notes if not note.startswith("0 ")]
