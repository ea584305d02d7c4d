from .deployed import Deployed as Deployed
from .deployed import deploy as deploy
from .quantization import AffineQuantizer as AffineQuantizer
from .regularization import Regularizer as Regularizer
from .regularization import TapStatistics as TapStatistics
from .tap_patterns import TapError as TapError
from .tap_patterns import matching_taps as matching_taps
