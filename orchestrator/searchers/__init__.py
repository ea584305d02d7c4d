"""Searchers: which trial is proposed next. One file per searcher, and the interface that all of them implement.

Here: proposals and learning from results, and a run as an Optuna study. Not here: running trials. Read first:
``base.py``, then ``proposals.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
