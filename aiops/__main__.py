"""`python -m aiops`."""

from aiops.app.cli import main

main()
