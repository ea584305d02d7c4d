"""A sweep from its file to its front: sweep file, plan, searchers, schedulers, gangs, launch = resume, command line.

Here: what concerns many trials at once. Not here: tensors (``trials``), files of a run (``results``). Read first:
``launch.py``, then ``conductor/conductor.py``. Names are loaded on first use: ``shrinksweep --help`` loads neither ray
nor torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
