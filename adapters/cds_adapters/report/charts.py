"""Charts are functions from numbers to a picture and the table of the same numbers.

Each draws on white, in dark ink, with colours that colour-blind readers tell apart and shapes that
all do; each names its lines where they are and its axes with their units. They know nothing of
studies or replays.
"""

from cds_adapters.report.chart import (
    BalanceRow,
    Bar,
    CalibrationPoint,
    Chart,
    ControlPoint,
    Curve,
    Histogram,
    Line,
    Mark,
)
from cds_adapters.report.diagrams import Box, diagram
from cds_adapters.report.plotted import calibration, control, curves, heat, histograms
from cds_adapters.report.rowed import bars, forest, love

__all__ = [
    "BalanceRow", "Bar", "Box", "CalibrationPoint", "Chart", "ControlPoint", "Curve", "Histogram",
    "Line", "Mark", "bars", "calibration", "control", "curves", "diagram", "forest", "heat",
    "histograms", "love",
]  # fmt: skip
