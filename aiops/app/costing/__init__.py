"""What was spent and saved, and how budgets stand: as plain data, as tables, as a page and as a table for BI tools."""

from aiops.app.costing.summed import answered

__all__ = ["answered"]
