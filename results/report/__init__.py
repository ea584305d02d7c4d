"""The report: one self-contained HTML file with the figures and tables of a run, readable offline.

Here: sections, page, style sheet, script. Not here: figures (``results.plots``), numbers (``results.pareto``). Read
first: ``write.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
