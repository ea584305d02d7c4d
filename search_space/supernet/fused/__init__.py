"""The mixed nodes of a cell in hand-written GPU kernels (Triton): the same mathematics in a tenth of the launches.

Here: kernels, the operators that launch them, and the operation of a whole source with its backward pass. Not here: the
mathematics and the reference in torch (``search_space.supernet.projection``, ``mixed``). Read first: ``stage.py``, then
``passes.py``, then the kernels in the order in which it launches them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
