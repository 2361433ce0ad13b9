"""Tolinku's Ecommerce API (seed 003) on DuckDB: what arrives is stored durably, what is asked is computed from it."""
