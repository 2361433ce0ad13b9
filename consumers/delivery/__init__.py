"""A storefront's events on their way to its ingestion API."""
