"""The report of a fit says what speaks against believing it before it gives a value."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from cds_adapters.report.assumptions import (
    MAPPED_HEAD,
    OVERLAP_HEAD,
    love_chart,
    mapped_rows,
    overlap_chart,
    overlap_rows,
    sensitivity_chart,
    weights_chart,
)
from cds_adapters.report.benefit import benefit_charts
from cds_adapters.report.flow import flow_chart
from cds_adapters.report.numbers import count, number
from cds_adapters.report.page import page
from cds_adapters.report.words import Words
from cds_adapters.report.worth import answers, differences_chart, values_chart, weight_rows
from cds_engine.assume.balance import balance, largest
from cds_engine.assume.consistency import mapped
from cds_engine.assume.ledger import Entry, ledger
from cds_engine.assume.positivity import ActionOverlap, overlap, poor
from cds_engine.estimate.export.data import study_trajectories
from cds_engine.estimate.export.served import served_rules
from cds_engine.estimate.export.skeleton import skeleton
from cds_engine.estimate.study import LearnedStage, StudyDocument
from cds_engine.estimate.trajectories import Trajectories
from cds_engine.fit.evidence import Source
from cds_engine.fit.fit import Fit
from cds_engine.fit.marks import few

NAME = "report.html"
STAGES_HEAD = ("Stage", "Who is at it", "Options", "What is known (history)", "Advice depends on",
               "Assigned")  # fmt: skip
PARITY_HEAD = ("Served stage", "Training rows", "Boundary points", "Random histories",
               "Of the training rows, outside the support", "Disagreements")  # fmt: skip
WEIGHTS_HEAD = ("Regime", "Followers", "Effective n", "Largest", "Mean", "Standard deviation",
                "Truncated at")  # fmt: skip


def fit_report(fit: Fit, source: Source) -> str:
    """Return the report of a fit, one HTML page.

    Args:
        fit: what was found.
        source: where its table came from.
    """
    words = Words.of(fit.study)
    design = _by_design(fit.trajectories)
    fixed = "Embedded regimes" if design and len(fit.trajectories.stages) > 1 else "Fixed regimes"
    bare = skeleton(fit.study)
    rules = served_rules(fit.study, fit.trajectories, fit.forms, bare)
    problems = poor(fit.overlaps)
    return page(
        "fit.html",
        **_common(fit.study, fit.trajectories, source, fit.overlaps, fit.ledger),
        **_assumed(fit.trajectories, fit, rules=rules),
        unfollowed=[row.value.label for row in fit.values.rows if not row.value.followers],
        thin=[f"{row.value.label} {few(row.value)}" for row in fit.values.rows if few(row.value)],
        values=values_chart(fit.values, words, fixed),
        differences=differences_chart(fit.values, words, fixed),
        answers=answers(fit.values, words),
        fixed=fixed.lower(),
        estimands=list(dict.fromkeys(f"{row.value.label}: {row.value.estimand}; "
                                     f"{row.value.method}." for row in fit.values.rows)),
        benefits=benefit_charts(fit.study, fit.trajectories, fit.forms),
        weights_table=(WEIGHTS_HEAD, weight_rows(fit.values.rows)),
        sensitivity=_sensitivity(fit, words),
        notes=_notes(fit, problems),
        method=_method(fit),
        provenance=_provenance(fit, source),
        parity=(PARITY_HEAD, _parity(fit)),
        identity=fit.exported.bundle.identity,
    )  # fmt: skip


def assumptions_report(study: StudyDocument, frame: pd.DataFrame, source: Source) -> str:
    """Return the part of a report that needs no fit: the data and the assumptions.

    Args:
        study: names the data, the stages and the propensities.
        frame: the table.
        source: where it came from.
    """
    trajectories, notes = study_trajectories(study, frame, skeleton(study))
    how = study.method.propensity
    overlaps, shares = overlap(trajectories, how)
    differences, rows = balance(trajectories, shares), mapped(trajectories)
    entries = ledger(trajectories, rows, overlaps, differences, adjusted_for=study.adjusted_for)
    found = {"overlaps": overlaps, "shares": shares, "differences": differences, "rows": rows}
    return page(
        "assume.html",
        **_common(study, trajectories, source, overlaps, entries),
        **_assumed(trajectories, found),
        notes=list(notes),
        identity=f"{study.study}@{study.version}",
    )


def _common(
    study: StudyDocument, trajectories: Trajectories, source: Source,
    overlaps: Sequence[ActionOverlap], entries: Sequence[Entry],
) -> dict[str, Any]:  # fmt: skip
    words = Words.of(study)
    return {
        "study": study,
        "words": words,
        "horizon": study.aim.at,
        "source": source,
        "n": count(len(trajectories)),
        "missing": count(len(trajectories) - int(trajectories.observed.sum())),
        "missing_how": study.outcome.missing,
        "design": _by_design(trajectories),
        "problems": list(poor(overlaps)),
        "doubtful": [one for one in entries if one.judgement == "doubtful"],
        "unsettled": [one for one in entries if one.judgement == "no problem measured"],
        "ledger": entries,
        "stages": (STAGES_HEAD, [_stage(stage) for stage in study.learned]),
        "actions": (("Name", "Action"), [(name, one.label) for name, one in study.actions.items()]),
        "flow": flow_chart(trajectories),
    }


def _assumed(trajectories: Trajectories, found: Any, rules: Any = None) -> dict[str, Any]:
    """Return the charts of the assumptions, from a fit or from a mapping with the same names."""

    def of(name: str) -> Any:
        return found[name] if isinstance(found, Mapping) else getattr(found, name)

    before, after = largest(of("differences"))
    return {
        "overlap": overlap_chart(trajectories, of("shares")),
        "overlap_table": (OVERLAP_HEAD, overlap_rows(of("overlaps"))),
        "weights": weights_chart(trajectories, of("shares"), rules),
        "balance": love_chart(of("differences")) if of("differences") else None,
        "balance_said": f"Largest standardised difference: {number(before, 2)} before weighting, "
        f"{number(after, 2)} after.",
        "mapped": (MAPPED_HEAD, mapped_rows(of("rows"))),
    }


def _by_design(trajectories: Trajectories) -> bool:
    return all(h.propensity is not None for h in trajectories.stages)


def _stage(stage: LearnedStage) -> tuple[str, ...]:
    options = "; ".join(f"{part.stage}: {', '.join(part.choose)}" for part in stage.split)
    assigned = "as clinicians decided"
    if stage.randomised is not None:
        odds = " : ".join(number(odd) for odd in stage.randomised.values())
        assigned = f"at random, {' : '.join(stage.randomised)} = {odds}"
    title = f" ({stage.title})" if stage.title else ""
    return (f"{stage.stage}{title}", stage.when, options or ", ".join(stage.choose),
            ", ".join(stage.history), ", ".join(stage.tailoring), assigned)  # fmt: skip


def _sensitivity(fit: Fit, words: Words) -> dict[str, Any]:
    """Return the curve, or why there is none."""
    if _by_design(fit.trajectories):
        return {"chart": None, "said": "Every stage was randomised, so that no unmeasured cause "
                "can have shifted who was given what; there is nothing to vary."}  # fmt: skip
    if fit.sensitivity is None:
        return {"chart": None, "said": "Nobody's outcome is known, so that there are no weights "
                "to shift."}  # fmt: skip
    flip = fit.flips_at
    said = "No strength of unmeasured confounding that was tried changes the conclusion."
    if flip is not None and flip != float("inf"):
        said = (f"The conclusion flips at Gamma = {number(flip, 3)}: an unmeasured cause that "
                f"multiplies or divides the odds of treatment by {number(flip, 3)} at every stage "
                "that was not randomised could explain the difference.")  # fmt: skip
    return {"chart": sensitivity_chart(fit.sensitivity, flip, words), "said": said}


def _notes(fit: Fit, problems: Sequence[str]) -> list[str]:
    found = [f"Positivity: {one}." for one in problems]
    found += [one for one in fit.notes if one not in problems]
    found += [f"{row.value.label}: {note}." for row in fit.values.rows for note in row.value.notes]
    best = fit.values.best_fixed if any(r.kind == "fixed" for r in fit.values.rows) else None
    if best is not None:
        found.append(f"{best.label}: {best.notes[-1]}.")
    return list(dict.fromkeys(found))


def _method(fit: Fit) -> list[tuple[str, str]]:
    evidence = json.loads(fit.exported.files["evidence.json"])
    settings = fit.study.method.model_dump(exclude_none=True)
    return [
        ("In words", evidence["method"]["words"]),
        ("Settings", ", ".join(f"{name}: {value}" for name, value in settings.items())),
        ("Seed", str(fit.study.seed)),
        ("Code", f"cds-engine {evidence['code_version']}"),
        ("Decision semantics", str(evidence["semantics_version"])),
    ]  # fmt: skip


def _provenance(fit: Fit, source: Source) -> list[tuple[str, str]]:
    return [
        ("Rule bundle", fit.exported.bundle.digest),
        ("bundle.yaml that was compared", fit.exported.certificate.digest),
        ("Data", source.data_digest),
        *([("Records that the table was made from", source.records)] if source.records else []),
        ("Study file", source.study_digest),
    ]


def _parity(fit: Fit) -> list[tuple[str, ...]]:
    return [
        (one.stage, count(one.training), count(one.boundary), count(one.random),
         count(one.abstained), count(len(one.disagreements)))
        for one in fit.exported.certificate.stages
    ]  # fmt: skip
