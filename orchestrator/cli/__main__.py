"""``python -m orchestrator.cli``: the command line."""

from orchestrator.cli import main

main()
