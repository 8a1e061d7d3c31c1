"""``show``: a rule bundle in words, as wide as the terminal."""

from cds_adapters.cli.output import say, table
from cds_engine.bundle.describe import Description, ScoreTable, StageDescription
from cds_engine.bundle.model import RuleBundle


def print_description(bundle: RuleBundle, described: Description, address: str) -> None:
    """Print everything that a rule bundle says; ``address`` is how the user named it."""
    say(f"{described.title}  ({bundle.identity})")
    say(f"digest      {bundle.digest}")
    say(f"aim         {described.aim}")
    say(f"population  {described.population}")
    for name, words in (*described.dates, *described.about):
        say(f"{name}: {words}")
    say()
    table(
        "Variables",
        ["name", "what it is", "read from", "taken as", "unit", "without a record"],
        [[v.name, v.label, v.source, v.taken, v.unit, v.missing] for v in described.variables],
    )
    table(
        "Options",
        ["name", "what is advised", "order", "recognised by"],
        [[a.name, a.label, a.order, ", ".join(a.seen_as)] for a in described.actions],
    )
    if described.safeguards:
        table(
            "Safeguards",
            ["never", "where", "because"],
            [[", ".join(s.actions), s.words, s.because] for s in described.safeguards],
        )
    for stage in described.stages:
        _print_stage(stage)
    say(f"{described.cases} cases; run them with: cds-engine test {address}")


def _print_stage(stage: StageDescription) -> None:
    say()
    say(f"Stage {stage.title}: for whom {stage.words}")
    if stage.scores is not None:
        _print_scores(stage.scores)
        return
    rows = [[row.number, row.words, row.leads_to, row.because] for row in stage.rows]
    table("", ["", "where", "then", "because"], rows)


def _print_scores(scores: ScoreTable) -> None:
    say(scores.words)
    terms = [[term.action, term.label or "constant", term.weight] for term in scores.terms]
    table("", ["option", "term", "weight"], terms)
    if scores.support:
        rows = [[", ".join(s.actions), s.words, s.because] for s in scores.support]
        table("Compared only where", ["options", "where", "because"], rows)
