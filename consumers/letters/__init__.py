"""Events that the ingestion API refused for good."""
