"""Vendor exports in, records out: pulls metrics on a schedule and publishes them as topics, exact, restated and atomic."""
