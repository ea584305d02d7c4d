"""Copies of a run for other tools: TensorBoard and MLflow, each an optional extra of the package.

Here: one file a tool, fed from the run's files. Not here: anything that a launch depends on. Read first:
``sink.py``, then ``follower.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
