"""A measurement of the dead is not missing: it does not exist, and nothing can stand for it."""

from cds_engine.errors import EstimationError

MOST_DEATHS = 0.1
"""A larger share of patients who died before their outcome is refused, unless told otherwise."""


def deaths_note(dead: int, patients: int, outcome: str, most: float = MOST_DEATHS) -> str:
    """Return what a reader must know of those who died before the outcome; empty without any.

    E[Y^d] of a measurement is a mean over all patients had all followed d. Of those who would then
    be dead there is no measurement, so that the mean is not defined. To weight or model the living
    for the dead gives the mean that the dead would have had, had they lived: a number about nobody.
    Among the survivors of each regime it compares other patients with one another, if treatment
    moves survival. While deaths are few the number moves little; where they are many, ask for
    survival, or for an outcome that says what death counts for.

    Args:
        dead: patients who died before the outcome was measured.
        patients: all who are eligible, the dead included.
        outcome: what the outcome is called.
        most: the largest share of deaths that is accepted.

    Raises:
        EstimationError: if the share is larger.

    References:
        Frangakis & Rubin (2002), Principal stratification in causal inference, Biometrics 58.
    """
    if not dead:
        return ""
    if dead > most * patients:
        raise EstimationError(
            f"{dead} of {patients} patients ({dead / patients:.1%}) died before {outcome} was "
            f"measured, more than the {most:.0%} that are accepted; of the dead there is no "
            f"{outcome}, so that its mean had all followed a regime is not defined; choose an "
            "outcome that counts death, such as survival, or accept a larger share of deaths"
        )
    return (
        f"{dead} of {patients} patients ({dead / patients:.1%}) died before {outcome} was "
        "measured; it does not exist for the dead, and they are weighted for as if it was only not "
        "measured: read values as if nobody had died"
    )
