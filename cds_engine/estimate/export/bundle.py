"""to_bundle writes a fitted regime as a rule bundle and proves that it decides alike."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time
from typing import Any

import numpy as np

from cds_engine.bundle.model import RuleBundle
from cds_engine.bundle.read import read_bundle
from cds_engine.decide.cases import run_cases
from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Bools, holds
from cds_engine.estimate.export.cases import cases_of
from cds_engine.estimate.export.forms import LinearForm
from cds_engine.estimate.export.lists import list_stage, support_of
from cds_engine.estimate.export.parity import StageParity, check_parity
from cds_engine.estimate.export.probe import Probe
from cds_engine.estimate.export.scores import centred, derived_terms, score_stage
from cds_engine.estimate.export.skeleton import bundle_document, plain, served_stages, skeleton
from cds_engine.estimate.export.written import json_bytes, yaml_bytes
from cds_engine.estimate.stage import StageData
from cds_engine.estimate.study import LearnedStage, StudyDocument
from cds_engine.estimate.trajectories import Trajectories
from cds_engine.estimate.tree import Tree
from cds_engine.vocabulary.time import Instant, instant

Document = dict[str, Any]
COARSE = 0.01
"""A standard error at a patient that is off by a larger share is refused."""
Form = LinearForm | Tree
"""A learned rule that a rule bundle can hold."""


@dataclass(frozen=True)
class Certificate:
    """The parity certificate.

    Attributes:
        digest: of the rule bundle that was compared.
        stages: what was compared at each served stage; no disagreement anywhere.
    """

    digest: str
    stages: tuple[StageParity, ...]

    def document(self) -> Document:
        """Return the certificate as plain data."""
        return {"bundle_yaml": self.digest, "stages": [asdict(one) for one in self.stages]}


@dataclass(frozen=True)
class Exported:
    """A fitted regime as the files of a rule bundle.

    Attributes:
        files: file name -> bytes: bundle.yaml, cases.yaml and evidence.json.
        bundle: the rule bundle as it was read back.
        certificate: that it decides as the fitted regime does.
    """

    files: Mapping[str, bytes]
    bundle: RuleBundle
    certificate: Certificate


def to_bundle(
    study: StudyDocument,
    trajectories: Trajectories,
    forms: Sequence[Form],
    evidence: Document,
    method: str,
    readme: Callable[[RuleBundle], bytes] | None = None,
) -> Exported:
    """Return the rule bundle of a fitted regime.

    Args:
        study: names everything.
        trajectories: what the regime was fitted to.
        forms: the learned rule of each learned stage, unrounded.
        evidence: what ``evidence.json`` says of values, assumptions and provenance; its
            ``summary`` stands in the bundle too.
        method: how benefits and their intervals were estimated, for the card.
        readme: writes ``README.md`` of the rule bundle, where there is to be one.

    Raises:
        RuleBundleError: if what was written is no rule bundle.
        EstimationError: if it does not decide as the fitted regime does, with the first histories
            on which they differ, or if a case does not come out as the estimator says.
    """
    bare = skeleton(study)
    served = _served(study, trajectories, forms, bare)
    rules = {one.name: one.rule(method) for one in served}
    linear = [form for form in forms if isinstance(form, LinearForm)]
    derived = {n: d for form in linear for n, d in derived_terms(form, study.variables).items()}
    document = bundle_document(study, rules, derived)
    if evidence.get("summary"):
        document["evidence"] = evidence["summary"]
    text, written = _written(document)
    for one in served:
        one.refuse_coarse(rules[one.name])
    probes = [one.probe(rules[one.name]) for one in served]
    checked = tuple(check_parity(written, probe, study.seed) for probe in probes)
    _refuse_differences(checked)
    certificate = Certificate("sha256:" + written.manifest["bundle.yaml"], checked)
    drawn = cases_of(written, probes)
    files = {
        "bundle.yaml": text,
        "cases.yaml": yaml_bytes({"cases": [*(plain(case) for case in study.cases), *drawn]}),
        "evidence.json": json_bytes({**evidence, "parity": certificate.document()}),
    }
    if readme is not None:
        files["README.md"] = readme(written)
    bundle = read_bundle(files)
    _refuse_cases(bundle)
    return Exported(files, bundle, certificate)


def _written(document: Document) -> tuple[bytes, RuleBundle]:
    """Write a bundle, without variables that nothing in it reads, and read it back.

    Such a variable was adjusted for when the rule was learned; to serve it, nobody has to know it.
    """
    comment = "Written by `cds-engine fit`; change the study and fit again."
    while True:
        text = yaml_bytes(document, comment)
        written = read_bundle({"bundle.yaml": text})
        unread = {note.split(":")[0].removeprefix("variables.") for note in written.notes}
        if not unread:
            return text, written
        kept = {name: v for name, v in document["variables"].items() if name not in unread}
        document = {**document, "variables": kept}


@dataclass(frozen=True)
class _Served:
    """One served stage: a learned stage or a part of it, its patients and what was learned."""

    study: StudyDocument
    stage: LearnedStage
    part: Document
    h: StageData
    rows: Bools
    form: Form
    bare: RuleBundle

    @property
    def name(self) -> str:
        return str(self.part["stage"])

    def rule(self, method: str) -> Document:
        """Return ``rule`` and ``estimates``, and ``choose`` where the rule leaves options out."""
        own, kinds = self.h.take(self.rows), self.bare.kinds
        if isinstance(self.form, Tree):
            return list_stage(self.study, self.stage, own, self.form, kinds, method)
        return score_stage(self.study, self.stage, self.part, own, self.form, kinds, method)

    def refuse_coarse(self, written: Document) -> None:
        """Refuse a covariance whose digits would not carry the intervals of the patients behind it.

        Raises:
            EstimationError: if a standard error would be off by more than ``COARSE``.
        """
        if not isinstance(self.form, LinearForm) or self.form.covariance is None:
            return
        own = self.form.among(tuple(self.part["choose"]))
        centres = written["estimates"]["contrasts"]["centres"]
        lower = written["estimates"]["contrasts"]["covariance"]
        rounded = np.array([[*row, *[0.0] * (len(lower) - len(row))] for row in lower])
        rounded = rounded + np.tril(rounded, -1).T
        exact = centred(own, centres)
        h = self.h.take(self.rows)
        for action in dict.fromkeys(action for action, _ in own.coefficients):
            x = np.column_stack([
                (term.values(h.columns, h.rows) - centres.get(term.variable, 0.0))
                * (name == action)
                for name, term in own.coefficients
            ])  # fmt: skip
            variances = [np.einsum("ij,jk,ik->i", x, V, x) for V in (exact, rounded)]
            off = np.abs(np.sqrt(np.maximum(variances[1], 0) / variances[0]) - 1).max()
            if not off < COARSE:
                raise EstimationError(
                    f"stage {self.name}: the digits of the covariance put a standard error off by "
                    f"{off:.1%} for {action}; leave out terms that say nearly the same"
                )

    def probe(self, written: Document) -> Probe:
        """Return the estimator's view, to compare the written rule with."""
        choose: tuple[str, ...] = tuple(written.get("choose") or self.part["choose"])
        if isinstance(self.form, Tree):
            share = self.study.method.support
            own = self.h.take(self.rows)
            support = support_of(own, self.stage.choose, self.stage, self.bare.kinds, share)
            scores, actions = None, self.stage.choose
        else:
            support = {item["actions"][0]: item["when"] for item in written["rule"]["support"]}
            scores, actions = self.form.scores, choose
        return Probe(
            bundle=self.bare, stage=self.name, h=self.h, rows=self.rows, actions=actions,
            tailoring=self.stage.tailoring, rule=self.form, at=self.stage.at, support=support,
            scores=scores, margin=self.study.method.margin,
        )  # fmt: skip


def _served(
    study: StudyDocument, trajectories: Trajectories, forms: Sequence[Form], bare: RuleBundle
) -> list[_Served]:
    return [
        _Served(study, stage, part, h, rows, form, bare)
        for stage, h, form in zip(study.learned, trajectories.stages, forms, strict=True)
        for part, rows in _parts(stage, h, bare)
    ]


def _parts(stage: LearnedStage, h: StageData, bare: RuleBundle) -> list[tuple[Document, Bools]]:
    """Return the served stages of a learned one, each with its patients."""
    if not stage.split:
        return [(served_stages(stage)[0], h.decided)]
    masks = [h.decided & holds(part.when, h.columns, h.rows, bare.kinds) for part in stage.split]
    several = int(np.count_nonzero(np.sum(masks, axis=0)[h.decided] != 1))
    if several:
        raise EstimationError(
            f"stage {stage.stage}: {several} of {int(h.decided.sum())} rows with a decision are in "
            "none or in several of its parts; let the parts exclude each other and cover all"
        )
    return list(zip(served_stages(stage), masks, strict=True))


def _refuse_differences(stages: Sequence[StageParity]) -> None:
    faults = [f"{one.stage}, {fault}" for one in stages for fault in one.disagreements]
    if faults:
        raise EstimationError(
            f"the written rule bundle differs from the fitted regime on {len(faults)} histories "
            f"({'; '.join(faults[:3])}); if coefficients were rounded too much, write more "
            "significant digits (method.digits)"
        )


def _refuse_cases(bundle: RuleBundle) -> None:
    wrong = [result for result in run_cases(bundle, _in_force(bundle)) if result.differences]
    if wrong:
        raise EstimationError(
            f"{len(wrong)} cases do not come out as expected; the first is "
            f"{wrong[0].case.case!r}: {'; '.join(wrong[0].differences)}"
        )


def _in_force(bundle: RuleBundle) -> Instant:
    """Return an instant at which the version is in force: the noon of its first day."""
    first = date.fromisoformat(bundle.document.effective_from or "1970-01-01")
    return instant(datetime.combine(first, time(12), UTC))
