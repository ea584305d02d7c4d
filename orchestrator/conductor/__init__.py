"""The course of one launch: which trial runs next, and what follows from its outcome.

Here: decisions, each recorded in the run directory before it takes effect. Not here: Ray, tensors, terminals. Read
first: ``conductor.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
