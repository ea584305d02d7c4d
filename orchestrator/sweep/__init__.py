"""What a sweep file may say, and every fault that it can have.

Here: the file, its dimensions, its overrides. Not here: anything that needs a cluster or data. Read first:
``sweep.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
