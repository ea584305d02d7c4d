"""The bilevel search on the supernet, one file per search algorithm.

Here: the search phase, the gradients of the alphas, and checks of an architecture before it is trained. Not here: the
supernet itself (``search_space.supernet``). Read first: ``search.py``, then ``darts.py`` with the interface of all
algorithms.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
