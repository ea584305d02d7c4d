"""Preflight: the plan of a launch, and everything that would make it fail, before anything starts.

Here: checks of sweep, data, nodes and run directory. Not here: anything that starts a process. Read first:
``plan.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
