"""What a launch shows while it runs, and the state of a run from its files at any time.

Here: views, tables, the headline, the status. Not here: decisions, commands. Read first: ``status.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
