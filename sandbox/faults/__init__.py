"""Faults on demand: rules that make a stand-in answer as a vendor does on a bad day."""
