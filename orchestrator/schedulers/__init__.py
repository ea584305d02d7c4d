"""Which trials are stopped early.

Here: one file a rule, pure functions of the reports. Not here: files, clocks, Ray. Read first: ``halving.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
