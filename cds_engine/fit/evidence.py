"""The evidence says what was estimated, on which data, how, and on which assumptions it rests."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cds_engine
from cds_engine.assume.ledger import Entry
from cds_engine.estimate.comparison import ValueTable
from cds_engine.estimate.export.forms import significant
from cds_engine.estimate.study import StudyDocument
from cds_engine.estimate.trajectories import Trajectories
from cds_engine.estimate.value import ValueEstimate

Document = dict[str, Any]

FIGURES = 6
"""Significant digits of every figure: more would differ from machine to machine."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a table came from.

    Attributes:
        what: in words, such as a file's name or a world with its seed.
        data_digest: SHA-256 of the table.
        study_digest: SHA-256 of the study file.
        records: digest of the records that the table was made from; empty where it is not known.
    """

    what: str
    data_digest: str
    study_digest: str
    records: str = ""


def evidence_of(
    study: StudyDocument,
    trajectories: Trajectories,
    values: ValueTable,
    entries: Sequence[Entry],
    source: Source,
    method: str,
    notes: Sequence[str],
) -> Document:
    """Return what ``evidence.json`` holds, and in ``summary`` what the bundle itself says of it."""
    table = [{**value_document(row.value), "kind": row.kind,
              "crude": figure(row.crude.estimate) if row.crude else None}
             for row in values.rows]  # fmt: skip
    served = values.rows[1].value
    gain = served.minus(values.usual)
    summary: Document = {
        "estimand": f"Mean {trajectories.outcome_name} had all been treated by the regime as it is "
        "served (in-sample)",
        "estimate": figure(served.estimate),
        "interval": [figure(served.low), figure(served.high)],
        "minus_usual_care": figure(gain.estimate),
        "minus_usual_care_interval": [figure(gain.low), figure(gain.high)],
        "out_of_fold": figure(values.rows[0].value.estimate),
        "level": served.level,
        "n": served.n,
        "effective_n": figure(served.effective_n),
        "method": method,
        "notes": [*dict.fromkeys((*notes, *served.notes))],
        "assumptions": [entry.document() for entry in entries],
    }
    return {
        "summary": summary,
        "values": table,
        "paths": [_line(row) for row in trajectories.layout().to_dict("records")],
        "assumptions": [entry.document() for entry in entries],
        "method": {**study.method.model_dump(), "words": method, "seed": study.seed},
        "data": {
            "what": source.what, "digest": source.data_digest, "rows": len(trajectories),
            **({"records": source.records} if source.records else {}),
        },
        "study_digest": source.study_digest,
        "code_version": cds_engine.__version__,
        "semantics_version": cds_engine.SEMANTICS_VERSION,
        "notes": list(notes),
    }  # fmt: skip


def value_document(value: ValueEstimate) -> Document:
    """Return a value as plain data, with figures rounded."""
    return {
        "label": value.label, "estimate": figure(value.estimate),
        "standard_error": figure(value.standard_error),
        "interval": [figure(value.low), figure(value.high)], "level": value.level,
        "n": value.n, "effective_n": figure(value.effective_n), "followers": value.followers,
        "estimand": value.estimand, "method": value.method, "notes": list(value.notes),
    }  # fmt: skip


def figure(value: float) -> float | None:
    """Return a number with the significant digits of evidence; None where it is not finite."""
    return significant(value, FIGURES) if math.isfinite(value) else None


def _line(row: Mapping[Hashable, Any]) -> Document:
    return {str(key): figure(float(value)) if isinstance(value, float) else value
            for key, value in row.items()}  # fmt: skip
