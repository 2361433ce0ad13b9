"""The ingestion API: asked, answered, understood."""
