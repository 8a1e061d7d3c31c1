"""A bundle's files are shown only as long as they are, byte for byte, the ones that were read."""

import hashlib

from cds_adapters.storage.shelf import Shelf
from cds_adapters.web.errors import PageError, no_page
from cds_engine.bundle.model import RuleBundle


def bundle_file(shelf: Shelf, bundle: RuleBundle, name: str) -> bytes:
    """Return the bytes of one file of a bundle on the shelf.

    Raises:
        PageError: if the bundle has no such file, or the file is no longer the one in force.
    """
    expected = bundle.manifest.get(name)
    if expected is None:
        raise no_page()
    path = shelf.directory / bundle.regime / bundle.version / name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _changed(name, "can no longer be read") from error
    if hashlib.sha256(data).hexdigest() != expected:
        raise _changed(name, "has been changed")
    return data


def _changed(name: str, what: str) -> PageError:
    return PageError(
        409,
        "The file is no longer the one in force",
        f"{name} {what} since the service read it, so showing it would mislead.",
        "Restore the released file, or release the change as a new version and restart.",
    )
