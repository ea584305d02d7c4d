"""What people see of a launch while it runs, and of a run's files at any time.

Here: views, tables, the state of a run. Not here: decisions, commands. Read first: ``status.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
