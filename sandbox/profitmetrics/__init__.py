"""ProfitMetrics' dashboard metrics (seed 000): `export/v2`, `data/reports`, `export/metrics` and the deprecated
`export/csv`.

The figures are made up but hold together: each is a function of site, metric and time alone, so that any window asked
for in any way agrees with any other.
"""
