"""Evaluation of one trained network at every threshold, precision and codec.

Here: the measurements of every rung. Not here: training, files. Read first: ``ladder.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
