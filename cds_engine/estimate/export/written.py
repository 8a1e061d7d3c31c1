"""What is written is read back before it counts: bytes in, the same rule bundle out."""

import io
import json
from typing import Any

from ruamel.yaml import YAML

Document = dict[str, Any]


def yaml_bytes(document: Document, comment: str = "") -> bytes:
    """Return a document as YAML: fields in their order, short parts on one line."""
    writer: Any = YAML()
    writer.default_flow_style = None
    writer.width = 100
    writer.allow_unicode = True
    writer.sort_base_mapping_type_on_output = False
    out = io.BytesIO()
    writer.dump(document, out)
    head = "".join(f"# {line}\n" for line in comment.splitlines())
    return head.encode() + out.getvalue()


def json_bytes(document: Document) -> bytes:
    """Return a document as JSON with sorted keys, a line for each field, and a last newline."""
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()
