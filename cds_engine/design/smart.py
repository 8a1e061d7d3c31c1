"""A checked SMART is a tree: randomisations, splits by response, and the ends that are left."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod

from cds_engine.design.document import DesignDocument, ResponseDocument, StageDocument
from cds_engine.errors import CDSError, DocumentError

Path = tuple[str, ...]
"""Arms and answers so far, such as ``("coaching", "non-responders", "gym")``; () is enrolment."""

RESPONDERS, NON_RESPONDERS = "responders", "non-responders"
GROUPS = (RESPONDERS, NON_RESPONDERS)


class DesignError(DocumentError):
    """A design that cannot be used; carries all of its faults."""


class DesignQuestionError(CDSError):
    """A design was asked for something that it does not hold."""


@dataclass(frozen=True, slots=True)
class Randomisation:
    """One randomisation of the tree.

    Attributes:
        at: path of those who are randomised here.
        stage: place of its stage among the stages.
        arms: arm -> probability; they add to 1.
    """

    at: Path
    stage: int
    arms: Mapping[str, float]


@dataclass(frozen=True)
class Design:
    """A SMART without faults.

    Attributes:
        document: as its authors wrote it.
        randomisations: path of those randomised -> the randomisation.
        responses: path after which people are split by response -> who responds.
    """

    document: DesignDocument
    randomisations: Mapping[Path, Randomisation]
    responses: Mapping[Path, ResponseDocument]

    @property
    def stages(self) -> tuple[StageDocument, ...]:
        """The stages in order of time."""
        return self.document.stages

    @cached_property
    def nodes(self) -> tuple[Path, ...]:
        """Every path of the tree, parents first, depth first."""
        return tuple(self._walk(()))

    @cached_property
    def ends(self) -> tuple[Path, ...]:
        """The paths at which nothing more is decided, in order."""
        return tuple(path for path in self.nodes if not self.children(path))

    @cached_property
    def end_probability(self) -> Mapping[Path, float]:
        """End -> product of the probabilities of its arms; its inverse is the end's weight."""
        return {end: self.chance(end) for end in self.ends}

    def children(self, path: Path) -> tuple[Path, ...]:
        """Return the paths one step on; none at an end."""
        if path in self.responses:
            return tuple((*path, group) for group in GROUPS)
        if path in self.randomisations:
            return tuple((*path, arm) for arm in self.randomisations[path].arms)
        return ()

    def chance(self, path: Path) -> float:
        """Return the product of the probabilities of the arms on a path, response aside."""
        product = 1.0
        for step in range(len(path)):
            here = self.randomisations.get(path[:step])
            product *= 1.0 if here is None else here.arms[path[step]]
        return product

    def regimes(self, path: Path = ()) -> int:
        """Return how many embedded regimes there are from a path on, without listing them."""
        below = [self.regimes(child) for child in self.children(path)]
        return prod(below) if path in self.responses or not below else sum(below)

    def arms(self, stage: int) -> tuple[str, ...]:
        """Return the arms of a stage, each once, in the order in which they are written."""
        here = [r.arms for r in self.randomisations.values() if r.stage == stage]
        return tuple(dict.fromkeys(arm for arms in here for arm in arms))

    def column(self, stage: int) -> str:
        """Return the table's column with the arms of a stage."""
        one = self.stages[stage]
        return one.column or f"action_{one.stage}"

    def label(self, arm: str) -> str:
        """Return an arm's name in words."""
        return self.document.labels.get(arm, arm.replace("_", " "))

    def criterion(self, path: Path) -> str | None:
        """Return who is on a path as a criterion over the table's columns; None for everybody."""
        parts = []
        for step, word in enumerate(path):
            before = path[:step]
            if before in self.randomisations:
                parts.append(f"{self.column(self.randomisations[before].stage)} is {word}")
            else:
                column = self.responses[before].column
                parts.append(column if word == RESPONDERS else f"not {column}")
        return " and ".join(parts) or None

    def _walk(self, path: Path) -> Iterator[Path]:
        yield path
        for child in self.children(path):
            yield from self._walk(child)


def written(path: Path) -> str:
    """Write a path as documents do: ``coaching > non-responders > gym``."""
    return " > ".join(path)


def parsed(text: str) -> Path:
    """Read a path as documents write it."""
    return tuple(part.strip() for part in text.split(">"))
