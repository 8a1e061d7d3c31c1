"""A study holds all of a rule bundle but the learned rules; until they are there it has none."""

import json
from collections.abc import Mapping
from typing import Any

from cds_engine.bundle.model import RuleBundle
from cds_engine.bundle.read import read_bundle
from cds_engine.estimate.study import LearnedStage, StudyDocument, WrittenStage

Document = dict[str, Any]

_KEPT = (
    "title", "description", "effective_from", "review_by", "expires", "about", "aim", "population",
    "variables", "actions", "safeguards",
)  # fmt: skip


def plain(model: Any) -> Any:
    """Return a document as plain data, without what it leaves out."""
    return json.loads(model.model_dump_json(by_alias=True, exclude_unset=True))


def bundle_document(
    study: StudyDocument, rules: Mapping[str, Document], derived: Mapping[str, Document]
) -> Document:
    """Return the rule bundle's document.

    Args:
        study: what it is made of.
        rules: name of a served stage that is learned -> its ``rule`` and ``estimates``.
        derived: variables that the rules need besides those of the study.
    """
    whole = plain(study)
    document: Document = {"regime": study.study, "version": study.version}
    document |= {name: whole[name] for name in _KEPT if whole.get(name)}
    document["variables"] = {**whole["variables"], **derived}
    stages = []
    for stage, written in zip(study.stages, whole["stages"], strict=True):
        if isinstance(stage, WrittenStage):
            stages.append(written)
        else:
            stages += [{**part, **rules[part["stage"]]} for part in served_stages(stage)]
    return document | {"stages": stages}


def served_stages(stage: LearnedStage) -> list[Document]:
    """Return the stages as which a learned stage is served: itself, or one for each part."""
    if not stage.split:
        found: Document = {"stage": stage.stage}
        found |= {"title": stage.title} if stage.title else {}
        return [found | {"when": stage.when, "choose": list(stage.choose)}]
    parts = []
    for part in stage.split:
        found = {"stage": part.stage} | ({"title": part.title} if part.title else {})
        when = f"{_bracketed(stage.when)} and {_bracketed(part.when)}"
        parts.append(found | {"when": when, "choose": list(part.choose)})
    return parts


def skeleton(study: StudyDocument) -> RuleBundle:
    """Return the study's rule bundle with rules that know nothing, to check its words and units.

    Raises:
        RuleBundleError: with every fault of the vocabulary, the actions and the criteria.
    """
    empty: dict[str, Document] = {
        part["stage"]: {"rule": {"scores": {action: {"constant": 0} for action in part["choose"]}}}
        for stage in study.learned
        for part in served_stages(stage)
    }
    return read_bundle({"bundle.yaml": json.dumps(bundle_document(study, empty, {})).encode()})


def _bracketed(text: str) -> str:
    return f"({text})" if " or " in text else text
