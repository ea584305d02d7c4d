"""What `docs/study.md` says, computed from its runs: ``python -m examples.study``."""
