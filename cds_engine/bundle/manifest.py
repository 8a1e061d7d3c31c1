"""A rule bundle is identified by the SHA-256 of its manifest: file name -> SHA-256 of the bytes."""

import hashlib
import json
from collections.abc import Mapping


def manifest_of(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return file name -> hexadecimal SHA-256 of the exact bytes, names sorted."""
    return {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)}


def manifest_bytes(manifest: Mapping[str, str]) -> bytes:
    """Write a manifest canonically: sorted names, no white space, ASCII (RFC 8785 for these)."""
    return json.dumps(dict(manifest), sort_keys=True, separators=(",", ":")).encode("ascii")


def digest_of(manifest: Mapping[str, str]) -> str:
    """Return ``sha256:`` and the hexadecimal digest of the canonical manifest."""
    return "sha256:" + hashlib.sha256(manifest_bytes(manifest)).hexdigest()
