"""Batch work that can wait, under prices and carbon that change: what `aiops simulate` rehearses `defer` in."""
