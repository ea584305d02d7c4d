"""How a worker computes: device, precision, threads, ranks of a trial, memory.

Here: what depends on the machine. Not here: what is computed. Read first: ``compute.py``, then ``parallel.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
