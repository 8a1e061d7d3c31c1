"""A reference names a resource by type and id, by address, or by an entry's address."""

from collections.abc import Mapping

URN = "urn:uuid:"


def local_reference(reference: str, kind: str) -> str | None:
    """Return ``Patient/x`` for any reference to that resource, whatever server and version.

    >>> local_reference("https://ehr.example/fhir/Patient/x/_history/2", "Patient")
    'Patient/x'
    >>> local_reference("Group/x", "Patient") is None
    True
    """
    name = reference.partition("/_history/")[0]
    before, found, resource_id = name.rpartition(f"{kind}/")
    if not found or not resource_id or "/" in resource_id or "?" in resource_id:
        return None
    return f"{kind}/{resource_id}" if not before or before.endswith("/") else None


def on_another_server(reference: str, kind: str, server: str | None) -> bool:
    """Say whether a reference names a resource by its address on a server other than this one.

    >>> on_another_server("https://else.example/fhir/Patient/x", "Patient", "https://ehr.example")
    True
    >>> on_another_server("https://EHR.example:443/Patient/x", "Patient", "https://ehr.example/")
    False
    """
    local = local_reference(reference, kind)
    if server is None or local is None or "://" not in reference:
        return False
    base = reference.partition("/_history/")[0].removesuffix(local)
    return _address(base) != _address(server)


def _address(base: str) -> tuple[str, str, str]:
    scheme, _, rest = base.partition("://")
    host, _, path = rest.partition("/")
    port = {"https": ":443", "http": ":80"}.get(scheme.lower(), "")
    return scheme.lower(), host.lower().removesuffix(port), path.rstrip("/")


def new_id(full_url: str | None) -> str | None:
    """Return the id that the address of an entry gives to a resource that has none yet."""
    if full_url is None or not full_url.startswith(URN):
        return None
    return full_url.removeprefix(URN)


def about_no_patient(reference: str | None) -> bool:
    """Say whether a subject is plainly something else: FHIR allows these three."""
    kinds = ("Group", "Device", "Location")
    return reference is not None and any(local_reference(reference, kind) for kind in kinds)


class Subjects(dict[str | None, str | None]):
    """Reference -> the id of the patient it names, None where it names none; fills itself.

    Attributes:
        urls: a Bundle entry's ``fullUrl`` -> ``Type/id`` of what is in it, empty if ambiguous.
    """

    def __init__(self, urls: Mapping[str, str]) -> None:
        self.urls = urls

    def __missing__(self, reference: str | None) -> str | None:
        found = self[reference] = self._read(reference)
        return found

    def _read(self, reference: str | None) -> str | None:
        if reference is None:
            return None
        known = self.urls.get(reference)
        if known is None and reference.startswith(URN):
            # Generators and some servers use the id itself as the uuid of the entry's address.
            return reference.removeprefix(URN)
        local = local_reference(reference if known is None else known, "Patient")
        return None if local is None else local.removeprefix("Patient/")
