"""What cannot be read is refused in words that hold no patient value."""

from cds_engine.errors import CDSError


class FHIRError(CDSError):
    """A body or a file that cannot be read as FHIR at all."""


class UnknownPatientError(FHIRError):
    """Files that can be read and hold nothing about the patient who is wanted."""


class NotUsedError(CDSError):
    """One resource that must not be used; caught where records are built, and listed there.

    Attributes:
        reason: why, in words.
        gap: True where the resource may matter, so that the record is incomplete without it.
    """

    def __init__(self, reason: str, *, gap: bool = True) -> None:
        self.reason = reason
        self.gap = gap
        super().__init__(reason)
