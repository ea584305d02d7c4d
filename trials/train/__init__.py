"""Training of the discrete network from scratch, and the loss that search and training share.

Here: training epochs, the objective, the learning-rate schedule. Not here: the search, the ladder. Read first:
``training.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
