"""Where else people look at runs: TensorBoard and MLflow, each an extra of the package.

Here: one file a sink, fed from the run's files. Not here: anything that a launch depends on. Read first:
``follower.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
