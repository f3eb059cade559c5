"""The kind `CostBudget`: how much may be spent, and whose ceilings tighten when it will not do."""
