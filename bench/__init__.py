"""Benchmarks: rates of the real processes beside bare loops that do less, measured in the same run."""
