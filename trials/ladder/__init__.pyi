from .calibration import calibrate as calibrate
from .ladder import evaluate as evaluate
from .preparation import Preparation as Preparation
from .tap_filter import TapCount as TapCount
from .tap_filter import TapFilter as TapFilter
