"""The supernet, and the exact and fast computation of its forward and backward pass.

Here: mixed operations and their block products. Not here: how the alphas are optimized (``trials.search``). Read first:
``supernet.py``, then ``projection.py``, which explains why a step is fast and still exact.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
