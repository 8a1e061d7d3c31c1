"""A SMART as a document: drawn, simulated, sized, and its embedded regimes enumerated."""

from cds_engine.design.document import DesignDocument
from cds_engine.design.factorial import FactorialComparison, FactorialRow, compare_with_factorial
from cds_engine.design.flow import flow_text
from cds_engine.design.flow_svg import flow_svg
from cds_engine.design.outcomes import OutcomeModel
from cds_engine.design.read import read_design
from cds_engine.design.regimes import EmbeddedRegime, RuleLine, embedded_regimes, regime_named
from cds_engine.design.size import (
    Size,
    asymptotic_power,
    design_factor,
    formula_size,
    size_of,
    sizes,
)
from cds_engine.design.smart import Design, DesignError, DesignQuestionError, Randomisation

__all__ = [
    "Design",
    "DesignDocument",
    "DesignError",
    "DesignQuestionError",
    "EmbeddedRegime",
    "FactorialComparison",
    "FactorialRow",
    "OutcomeModel",
    "Randomisation",
    "RuleLine",
    "Size",
    "asymptotic_power",
    "compare_with_factorial",
    "design_factor",
    "embedded_regimes",
    "flow_svg",
    "flow_text",
    "formula_size",
    "read_design",
    "regime_named",
    "size_of",
    "sizes",
]
