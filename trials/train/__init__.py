"""The training of the derived network from scratch, and the loss that search and training share.

Here: epochs, schedules, the objective. Not here: the search, the ladder. Read first: ``training.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
