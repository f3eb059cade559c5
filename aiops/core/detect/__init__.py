"""Stage detect: what is not normal. A detector scores rows; a tracker turns scores into findings.

A new detector is one file with a class that fills `RuledDetector`, and one line in `DETECTORS`.
"""

from collections.abc import Callable, Mapping

from aiops.core.detect.robust_seasonal import RobustSeasonal
from aiops.core.detect.rules import RowRules, RuledDetector

DETECTORS: Mapping[str, Callable[[RowRules], RuledDetector]] = {RobustSeasonal.name: RobustSeasonal}

__all__ = ["DETECTORS", "RowRules", "RuledDetector"]
