"""ProfitMetrics' dashboard metrics (seed 000)."""
