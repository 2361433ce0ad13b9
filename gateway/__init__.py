"""The HTTP edge: requests in, records out."""
