"""How one trained network answers every threshold, precision and codec.

Here: rungs and what is measured at each. Not here: training, files. Read first: ``ladder.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
