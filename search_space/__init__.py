"""What can be built: spaces, primitives, cells, output node, supernet, genotype, discrete network.

Here: modules and what they compute. Not here: data, training, files, Ray. Read first: ``space.py``, ``output_node.py``,
then ``supernet/supernet.py``. Names are imported on first use: checking a sweep file with ``search_space.space`` needs
no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
