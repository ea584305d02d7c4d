"""One trial: data, bilevel search, training, ladder, costs, checkpoints, the data-parallel step.

Here: what one gang does for one configuration. Not here: other trials, Ray. Read first: ``trial.py``; then the folder
of the block of a sweep file that you are after. Names are loaded on first use: ``trials.config`` needs no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
