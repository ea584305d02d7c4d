"""Which trial is proposed next: one file a searcher, and the interface that all share.

Here: proposals and what searchers are told. Not here: trials that run, files. Read first: ``base.py``, then
``proposals.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
