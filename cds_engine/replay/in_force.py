"""A replay asks what a version would have said had it been in force, whatever its own dates."""

from dataclasses import replace

from cds_engine.bundle.model import RuleBundle


def in_force(bundle: RuleBundle) -> RuleBundle:
    """Return the rule bundle without the day from which, and after which, it gives no advice.

    Its digest stays that of the version: nothing else of it changes. A service abstains outside of
    these dates (``not-yet-effective``, ``expired-bundle``), and there alone differs from a replay.
    """
    document = bundle.document
    if document.effective_from is None and document.expires is None:
        return bundle
    undated = document.model_copy(update={"effective_from": None, "expires": None})
    return replace(bundle, document=undated)
