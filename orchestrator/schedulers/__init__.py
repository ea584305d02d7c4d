"""Schedulers: which trials are stopped early.

Here: one file per rule, deterministic in the reported epochs. Not here: clocks, Ray. Read first: ``halving.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
