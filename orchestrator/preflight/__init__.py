"""What is known before anything starts: the plan of a launch, and every fault that speaks against it.

Here: checks of sweep, data and cluster by arithmetic. Not here: anything that starts a process. Read first:
``plan.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
