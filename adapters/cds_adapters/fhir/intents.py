"""Only what was ordered is an order; a proposal, or an order to do nothing, is none."""

from cds_adapters.fhir.codesets import NO_ORDERS, ORDERS, VOID, not_one_of
from cds_adapters.fhir.errors import NotUsedError


def require_order(
    intent: str | None, status: str, *, do_not_perform: bool, orders: frozenset[str] = ORDERS
) -> None:
    """Refuse what is no order; what the record takes back need not have been one."""
    if status in VOID:
        return
    if do_not_perform:
        raise NotUsedError("it asks not to do something (doNotPerform)", gap=False)
    if intent in orders:
        return
    if intent in NO_ORDERS:
        raise NotUsedError(f"intent {intent} is not an order", gap=False)
    raise NotUsedError(not_one_of("intent", intent, ORDERS | NO_ORDERS))
