"""The tables and pictures of `docs/study.md`, computed from its runs: ``python -m examples.study``."""
