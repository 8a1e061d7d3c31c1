"""A tree becomes a nested list that abstains outside what the data covered."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cds_engine.estimate.export.forms import significant
from cds_engine.estimate.export.support import inside, outside
from cds_engine.estimate.stage import StageData
from cds_engine.estimate.study import LearnedStage, StudyDocument
from cds_engine.estimate.tree import Leaf, Tree
from cds_engine.vocabulary.kind import Kind

Document = dict[str, Any]

FIGURES = 4
"""Significant digits of a benefit and its interval."""


def list_stage(
    study: StudyDocument, stage: LearnedStage, h: StageData, tree: Tree,
    kinds: Mapping[str, Kind], method: str,
) -> Document:  # fmt: skip
    """Return ``choose``, ``rule`` and ``estimates`` of a stage whose rule is a tree.

    Args:
        study: the study.
        stage: the learned stage.
        h: its data.
        tree: the learned tree.
        kinds: how variables are declared.
        method: how benefits and their intervals were estimated.
    """
    ends = [(list(path), leaf) for path, leaf in tree.branches()]
    used = {name for _, leaf in ends for name in (leaf.action, *leaf.instead)}
    choose = [action for action in stage.choose if action in used]
    whys = iter([_because(study, leaf) for _, leaf in ends])
    lines: list[Document] = [_plain(line, whys) for line in tree.decision_list()]
    if beyond := outside(h, h.decided, stage.tailoring, kinds, study.method.support):
        lines.insert(
            0, {"when": beyond, "abstain": "Hardly any patient of the data was like this."}
        )
    estimates: Document = {"outcome": study.outcome.label}
    estimates |= {"unit": study.aim.unit} if study.aim.unit else {}
    estimates |= {"level": study.method.level, "method": method}
    estimates["groups"] = [_group(path, leaf, stage.choose) for path, leaf in ends]
    return {"choose": choose, "rule": lines, "estimates": estimates}


def support_of(
    h: StageData, actions: Sequence[str], stage: LearnedStage, kinds: Mapping[str, Kind],
    share: float,
) -> dict[str, str]:  # fmt: skip
    """Return action -> the criterion outside which the list abstains: the same for all."""
    when = inside(h, h.decided, stage.tailoring, dict(kinds), share)
    return dict.fromkeys(actions, when) if when else {}


def _group(path: list[str], leaf: Leaf, actions: Sequence[str]) -> Document:
    group: Document = {
        "when": " and ".join(path) or "true",
        "n": {action: leaf.n_by_action.get(action, 0) for action in actions},
    }
    if leaf.benefit is not None:
        one = leaf.benefit
        group["benefit"] = {
            "action": leaf.action, "against": one.against,
            "estimate": significant(one.estimate, FIGURES),
            "low": significant(one.low, FIGURES), "high": significant(one.high, FIGURES),
        }  # fmt: skip
    return group


def _because(study: StudyDocument, leaf: Leaf) -> str:
    """Say why a leaf advises what it does, with the figures that its group holds too."""
    one, unit = leaf.benefit, study.aim.unit or ""
    if one is None:
        return f"The best that the {leaf.n} such patients of the data show."
    other = study.actions[one.against].label
    if one.low <= 0 <= one.high:
        return (
            f"The data do not tell it apart from the best other option ({other}) in {one.n} such "
            "patients who could have both."
        )
    opposite = {"higher": "lower", "lower": "higher"}
    word = study.aim.better if one.estimate > 0 else opposite[study.aim.better]
    size = f"{abs(significant(one.estimate, 2)):g} {unit}".strip()
    return (
        f"{study.outcome.label}: {size} {word} than with “{other}”, in {one.n} such patients "
        "who could have both."
    )


def _plain(line: Mapping[str, Any], whys: Iterator[str]) -> Document:
    """Return a line as lists and dicts, which is what YAML writes, with its reason."""
    found = dict(line)
    if "rule" in found:
        found["rule"] = [_plain(one, whys) for one in found["rule"]]
    else:
        found["because"] = next(whys)
    if "instead" in found:
        found["instead"] = list(found["instead"])
    return found
