"""The course of one launch: which trial comes next, and what becomes of it.

Here: decisions, and the record of each before it takes effect. Not here: Ray, tensors, terminals. Read first:
``conductor.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
