"""Stand-ins for the five vendor APIs, for development and tests, faithful to the seeds and honest about what nobody
knows.

The ingestion API (`sandbox.tolinku`, seed 003) is a real service: what it answers 200 to is on disk. Other vendors
are mounted beside it by `sandbox.app`. Faults and switches are set on a listener of their own (`sandbox.control`);
nothing of that shows on the main port.
"""
