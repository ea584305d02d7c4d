"""The supernet, and how its step is computed fast and exactly.

Here: mixed operations and their block products. Not here: how alphas are moved (``trials.search``). Read first:
``supernet.py``, then ``projection.py``, which says why a step is fast and still exact.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
