"""Pictures of a run, as plotly figures: one file a kind of picture.

Here: figures and their look. Not here: questions (``results.pareto``), pages (``results.report``). Read first:
``plots.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
