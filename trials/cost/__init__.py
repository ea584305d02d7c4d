"""The cost of a network: parameters, multiply-adds, effective multiply-adds, live feature maps.

Here: counting. Not here: pruning, quantization and storage of maps (``trials.feature_maps``). Read first: ``cost.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
