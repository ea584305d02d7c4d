"""The files of a run as data frames: points, progress, trials; the stored front; ``where`` expressions.

Here: tables and filters. Not here: paths and bytes (``results.storage``), dominance (``results.pareto``). Read first:
``run_tables.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
