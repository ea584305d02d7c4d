"""The report: one HTML file with all pictures and tables of a run, readable without a network.

Here: sections, page, style, script. Not here: figures (``results.plots``), numbers (``results.pareto``). Read first:
``write.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
