"""Fine-tuning of a trained network, with thresholds and quantizers in the forward pass.

Here: the phase of a trial, and the straight-through gradients. Not here: which stages a trial has
(``config/trial.py``), how maps are pruned and quantized (``ladder/tap_filter.py``). Read first: ``finetuning.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
