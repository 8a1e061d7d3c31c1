"""The parity certificate shows that the written bundle decides as the fitted regime does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.scalar import complete, judge
from cds_engine.decide.table import Table, decide_table
from cds_engine.errors import EstimationError
from cds_engine.estimate.export.probe import ABSTAIN, ELSEWHERE, Probe

RANDOM = 2_000
"""How many random histories each stage is tried on."""
NEAR = 12
"""Around how many training rows, besides the typical patient, boundaries are looked for."""


@dataclass(frozen=True, slots=True)
class StageParity:
    """What was compared at one served stage.

    Attributes:
        training, boundary, random: how many histories of each sort were compared.
        abstained: how many of the training rows lie outside the support, by both.
        disagreements: descriptions of those on which estimator and rule bundle differ; empty.
    """

    stage: str
    training: int
    boundary: int
    random: int
    abstained: int
    disagreements: tuple[str, ...]


def check_parity(bundle: RuleBundle, probe: Probe, seed: int) -> StageParity:
    """Compare estimator and rule bundle on training rows, boundary points and random histories.

    Args:
        bundle: the rule bundle as it was read back from its written bytes.
        probe: the estimator's view of one served stage.
        seed: of the random histories.
    """
    rows = np.flatnonzero(probe.rows)
    training = probe.states(rows)
    boundary = _boundary(probe, seed)
    random = _random(probe, seed)
    faults: list[str] = []
    quiet = 0
    for sort, states in (("training", training), ("boundary", boundary), ("random", random)):
        expected = probe.answers(states)
        if sort == "training":
            _refuse_strangers(probe.stage, expected)
        served = _served(bundle, states)
        for at, (wanted, found) in enumerate(zip(expected, served, strict=True)):
            quiet += sort == "training" and wanted == ABSTAIN
            if problem := _difference(probe.stage, wanted, found):
                faults.append(f"{sort} {at}: {problem}")
    return StageParity(probe.stage, len(training), len(boundary), len(random), quiet, tuple(faults))


def _refuse_strangers(stage: str, answers: Sequence[frozenset[str]]) -> None:
    strangers = answers.count(ELSEWHERE)
    if strangers:
        raise EstimationError(
            f"stage {stage}: {strangers} of {len(answers)} patients whom it is learned from would "
            "not be at it when it is served; correct its `when`, the `population`, or what the "
            "study says of a patient `at` the stage"
        )


Served = tuple[str, str | None, str | None, frozenset[str]]


def _served(bundle: RuleBundle, states: Sequence[Mapping[str, Any]]) -> list[Served]:
    """Return outcome, code, stage and candidates by the table evaluator."""
    if not states:
        return []
    decisions = decide_table(bundle, Table.from_states(bundle, states))
    fates = [decisions.decode(row) for row in range(len(states))]
    for row in range(0, len(states), 97):  # the referee looks at some of them himself
        judgement = judge(bundle, complete(bundle, states[row]))
        if (judgement.outcome, judgement.action) != (fates[row].outcome, fates[row].action):
            fates[row] = fates[row]._replace(stage="the evaluators differ")
    return [(f.outcome, f.code, f.stage, frozenset(f.candidates)) for f in fates]


def _difference(stage: str, wanted: frozenset[str], found: Served) -> str:
    outcome, code, at, candidates = found
    if wanted == ELSEWHERE:
        return f"the bundle takes a patient for {stage} who is not" if at == stage else ""
    if outcome == "not_applicable" or at != stage:
        return f"the bundle says {outcome} ({code}) at stage {at}, not at {stage}"
    if wanted == ABSTAIN:
        silent = outcome == "abstention" and code in {"positivity-unsupported", "rule-abstains"}
        return "" if silent else f"{outcome} outside the support"
    if outcome == "abstention":
        return f"abstention ({code}) where the estimator says {sorted(wanted)}"
    return "" if candidates == wanted else f"{sorted(candidates)} instead of {sorted(wanted)}"


def _boundary(probe: Probe, seed: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng([seed, 1])
    rows = np.flatnonzero(probe.rows)
    chosen = rng.choice(rows, size=min(NEAR, len(rows)), replace=False)
    starts = [probe.typical(), *probe.states(chosen)]
    return [end for start in starts for _, *ends in probe.boundaries(start) for end in ends]


def _random(probe: Probe, seed: int) -> list[dict[str, Any]]:
    """Return patients whose values are drawn one by one, so that unseen mixtures occur."""
    rng = np.random.default_rng([seed, 2])
    rows = np.flatnonzero(probe.rows)
    count = min(RANDOM, 20 * len(rows))
    drawn = {name: rng.choice(rows, size=count) for name in probe.h.columns
             if name in probe.bundle.base_variables}  # fmt: skip
    fixed = {n for n in probe.h.columns if n in probe.bundle.base_variables
             and probe.bundle.kinds[n].type == "label"}  # fmt: skip
    together = rng.choice(rows, size=count)
    columns = {n: probe.h.columns[n][together if n in fixed else at].tolist()
               for n, at in drawn.items()}  # fmt: skip
    return [{**probe.at, **{n: values[i] for n, values in columns.items()}} for i in range(count)]
