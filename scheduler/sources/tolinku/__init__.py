"""Tolinku's ecommerce query endpoints as exports (seed 003)."""
