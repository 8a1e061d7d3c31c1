"""Whether a unit is written in UCUM, as far as the units of clinical measurements go.

Only the codes that such measurements use are known here; another may be UCUM all the same, so that
what is not known is worth a look and no fault.
"""

import difflib
import re

from cds_engine.vocabulary.units import SPELLINGS

_METRIC = frozenset({
    "m", "g", "s", "L", "l", "mol", "eq", "Eq", "osm", "Osm", "cal", "J", "W", "V", "A", "K", "C",
    "Cel", "Hz", "N", "Pa", "bar", "kat", "U", "Bq", "Gy", "Sv", "lm", "cd", "rad", "t", "[IU]",
    "[iU]", "[arb'U]", "m[Hg]", "m[H2O]", "B",
})  # fmt: skip
_OTHER = frozenset({
    "1", "%", "[ppth]", "[ppm]", "[ppb]", "[pH]", "d", "wk", "mo", "a", "h", "min", "deg",
    "[lb_av]", "[oz_av]", "[in_i]", "[ft_i]", "[degF]", "[pt_us]", "[foz_us]", "[drp]", "[CFU]",
    "[PFU]", "[HPF]", "[LPF]", "[iU]", "[IU]", "[mi_i]", "[Cal]", "[diop]", "10*3", "10*6",
    "10*9", "10*12", "10^3", "10^6", "10^9", "10^12", "10*",
})  # fmt: skip
_PREFIXES = ("Y", "Z", "E", "P", "T", "G", "M", "k", "h", "da", "d", "c", "m", "u", "n", "p", "f")
_COMMON = (
    "mm[Hg]", "mmol/L", "mg/dL", "g/dL", "umol/L", "mL/min/{1.73_m2}", "kg/m2", "/min", "Cel", "%",
    "kg", "cm", "U/L", "[IU]/L", "ng/mL", "10*9/L", "meq/L", "a", "mo", "wk", "d", "h",
)  # fmt: skip


def unit_remark(unit: str) -> str | None:
    """Say that a unit is not known to be UCUM, with what may be meant; None where it is known."""
    if _is_known(unit):
        return None
    meant = SPELLINGS.get(unit)
    if meant is None:
        close = difflib.get_close_matches(unit, _COMMON, n=1, cutoff=0.5)
        meant = close[0] if close else None
    cure = f"write it as {meant!r}" if meant else "look it up at ucum.org"
    return f"{unit!r} is no UCUM code that is known here, so that no record may match it; {cure}"


def _is_known(unit: str) -> bool:
    bare = re.sub(r"\{[\x21-\x7e]*?\}", "", unit)
    if not bare:
        return bool(unit)
    parts = re.split(r"[./](?![^\[]*\])", bare)
    return all(map(_is_term, parts[1:] if bare.startswith("/") else parts))


def _is_term(term: str) -> bool:
    if term in _METRIC or term in _OTHER or not term:  # nothing is left of an annotation alone
        return True
    base = re.sub(r"(?<=[a-zA-Z\]])[+-]?\d$", "", term)
    if base in _METRIC or base in _OTHER:
        return True
    return any(base.startswith(p) and base[len(p) :] in _METRIC for p in _PREFIXES)
