"""A page that cannot be shown says what was found, why it stops us and what to do."""

from cds_engine.errors import CDSError


class PageError(CDSError):
    """What a reader sees instead of the page; holds no patient value.

    Attributes:
        status: the HTTP status.
        title: what happened, as a heading.
        text: what was found and why it stops us.
        cure: what to do.
    """

    def __init__(self, status: int, title: str, text: str, cure: str) -> None:
        self.status = status
        self.title = title
        self.text = text
        self.cure = cure
        super().__init__(f"{title}: {text} {cure}")


def no_page() -> PageError:
    """Return the answer to an address that leads nowhere."""
    return PageError(
        404,
        "Page not found",
        "Nothing is kept under this address.",
        "Check the address. The list of regimes is at /, and the services for record systems are "
        "listed at /cds-services.",
    )


def wrong_method() -> PageError:
    """Return the answer to a call that the address does not take."""
    return PageError(
        405,
        "This address cannot be used in that way",
        "The page was called with a method that it does not offer.",
        "Open the page by its link, and use the button on it.",
    )


def broken(reference: str) -> PageError:
    """Return the answer to a fault of ours, with the reference under which it was logged."""
    return PageError(
        500,
        "The page could not be made",
        f"A fault in the service was logged under the reference {reference}.",
        "Try again; if it happens again, give the reference to the people who run the service.",
    )


def no_store(reference: str) -> PageError:
    """Return the answer while the audit store cannot be read."""
    return PageError(
        503,
        "The stored decisions cannot be read",
        f"The audit database did not answer; the fault was logged under {reference}.",
        "Try again in a minute. If it lasts, the people who run the service must look at the "
        "database: without it, no advice is given either.",
    )
