"""What the figures of a replay are told: how little is too little, and what to look at."""

from dataclasses import dataclass

from cds_engine.replay.settings import ReplayError


@dataclass(frozen=True, slots=True)
class FigureSettings:
    """Everything that the figures depend on besides the decision-point table.

    Attributes:
        least_effective_n: a value that rests on fewer effective followers is refused.
        smallest_cell: a subgroup's count below it is held back, and so is what would tell it.
        least_observed: a smaller share of observed outcomes has every value refused.
        most_deaths: where more than this share of those whose outcome was due died before it,
            every value is refused, for the mean of a measurement is not defined for the dead.
        least_known: a variable known in a smaller share of a stage's decision points is not
            adjusted for, rather than leaving so many patients out.
        adjust_for: the variables that treatment is explained by; all of the bundle's where None.
        subgroups: further variables whose subgroups are looked at.
        age_bands: whole years at which the bands of age begin.
        folds: for cross-fitting.
        seed: decides who is in which fold.
        level: of intervals.
        gammas: strengths of unmeasured confounding that are tried.
        timelines: how many patients' timelines are told.
        listed: how many flips of one kind are listed one by one.
    """

    least_effective_n: float = 50.0
    smallest_cell: int = 10
    least_observed: float = 0.5
    most_deaths: float = 0.10
    least_known: float = 0.9
    adjust_for: tuple[str, ...] | None = None
    subgroups: tuple[str, ...] = ()
    age_bands: tuple[int, ...] = (18, 40, 50, 60, 70, 80)
    folds: int = 5
    seed: int = 0
    level: float = 0.95
    gammas: tuple[float, ...] = (1.0, 1.05, 1.1, 1.2, 1.35, 1.5, 1.75, 2.0, 2.5, 3.0)
    timelines: int = 25
    listed: int = 10_000

    def __post_init__(self) -> None:
        if self.least_effective_n < 1 or self.smallest_cell < 1:
            raise ReplayError(
                f"least_effective_n is {self.least_effective_n:g} and smallest_cell "
                f"{self.smallest_cell}; both count patients, so give 1 or more"
            )
        if list(self.age_bands) != sorted(set(self.age_bands)):
            raise ReplayError("the bands of age must begin at rising years, each named once")

    def plain(self) -> dict[str, object]:
        """Return the settings as JSON-ready data."""
        return {
            "least_effective_n": self.least_effective_n, "smallest_cell": self.smallest_cell,
            "least_observed": self.least_observed, "most_deaths": self.most_deaths,
            "least_known": self.least_known,
            "adjust_for": None if self.adjust_for is None else list(self.adjust_for),
            "subgroups": list(self.subgroups), "age_bands": list(self.age_bands),
            "folds": self.folds, "seed": self.seed, "level": self.level,
            "gammas": list(self.gammas), "timelines": self.timelines, "listed": self.listed,
        }  # fmt: skip
