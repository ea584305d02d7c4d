"""Plotly figures of a run, one file for each kind of figure, and drawings of genotypes.

Here: figures and their style. Not here: what they show (``results.pareto``), the HTML page (``results.report``).
Read first: ``plots.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
