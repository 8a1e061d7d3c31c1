"""SMARTs of every usual kind, as documents, and one table that follows each."""

from typing import Any

from cds_engine.design import Design, OutcomeModel, read_design
from cds_engine.design.smart import parsed, written

Document = dict[str, Any]

RESPONSE = {"label": "half the symptoms or fewer"}


def a_design(**fields: Any) -> Document:
    """Return the prototypical SMART: non-responders of both arms are randomised again."""
    return {
        "design": "two-arms",
        "title": "Two arms, then more for non-responders",
        "outcome": {"label": "Symptoms", "kind": "continuous", "better": "higher"},
        "stages": [
            {"stage": "first", "randomise": [{"arms": {"a": 0.5, "b": 0.5}}]},
            {
                "stage": "second",
                "randomise": [
                    {"after": "a", "who": "non-responders", "arms": {"c": 0.5, "d": 0.5}},
                    {"after": "b", "who": "non-responders", "arms": {"e": 0.5, "f": 0.5}},
                ],
            },
        ],
        "response": {"a": RESPONSE, "b": RESPONSE},
        **fields,
    }


def second(*randomise: Document) -> list[Document]:
    """Return two stages: arms a and b, then these randomisations."""
    first = {"stage": "first", "randomise": [{"arms": {"a": 1, "b": 1}}]}
    return [first, {"stage": "second", "randomise": list(randomise)}]


def again(after: str, who: str, *arms: str) -> Document:
    """Return one randomisation with equal chances."""
    return {"after": after, "who": who, "arms": dict.fromkeys(arms, 1)}


def everybody_again() -> Document:
    """All are randomised again, whatever their response."""
    return a_design(
        stages=second(again("a", "all", "c", "d"), again("b", "all", "c", "d")), response={}
    )


def one_arm_again() -> Document:
    """Only the non-responders of the first arm are randomised again."""
    return a_design(stages=second(again("a", "non-responders", "c", "d")),
                    response={"a": RESPONSE})  # fmt: skip


def eight_sequences() -> Document:
    """Responders and non-responders of both arms are randomised, each to options of their own."""
    return a_design(stages=second(*(
        again(arm, who, *arms)
        for arm in "ab"
        for who, arms in (("responders", ("stop", "keep")), ("non-responders", ("c", "d")))
    )))  # fmt: skip


def three_arms() -> Document:
    """Three first arms in the ratio 2 : 1 : 1; the third is not followed by anything."""
    stages = second(
        {"after": "a", "who": "non-responders", "arms": {"c": 0.25, "d": 0.75}},
        again("b", "non-responders", "c", "d", "e"),
    )
    stages[0]["randomise"] = [{"arms": {"a": 2, "b": 1, "z": 1}}]
    return a_design(stages=stages)


def three_stages() -> Document:
    """Non-responders of ``a`` are randomised up to twice more; ``b`` ends at once."""
    stages = second(again("a", "non-responders", "c", "d"))
    late = again("a > non-responders > c", "non-responders", "g", "h")
    stages.append({"stage": "third", "randomise": [late]})
    response = {"a": RESPONSE, "a > non-responders > c": {**RESPONSE, "column": "late_responder"}}
    return a_design(stages=stages, response=response)


def assumed(
    document: Document,
    rate: float = 0.4,
    sd: float = 1.0,
    *,
    means: dict[str, float] | None = None,
    **more: float,
) -> Document:
    """Return a design with an outcome model; ends that ``means`` does not name have mean 0."""
    design = read_design(document)
    given = {written(parsed(text)): value for text, value in (means or {}).items()}
    mean = {written(end): given.get(written(end), 0.0) for end in design.ends}
    response = {written(path): rate for path in design.responses}
    return {**document, "assume": {"response": response, "mean": mean, "sd": sd, **more}}


def a_model(document: Document, rate: float = 0.4, **options: Any) -> OutcomeModel:
    """Return the outcome model of a design; see ``assumed``."""
    return OutcomeModel.of(read_design(assumed(document, rate, **options)))


def ends_of(design: Design) -> list[str]:
    """Return the ends of a design as they are written."""
    return [written(end) for end in design.ends]
