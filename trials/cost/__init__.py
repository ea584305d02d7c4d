"""What a network costs: parameters, multiply-adds, effective multiply-adds, live feature maps.

Here: counting. Not here: how maps are made sparse or stored (``trials.feature_maps``). Read first: ``cost.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
