from .ladder import calibrate as calibrate
from .ladder import evaluate as evaluate
from .tap_filter import TapCount as TapCount
from .tap_filter import TapFilter as TapFilter
