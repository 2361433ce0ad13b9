"""What travels: events, records, topics."""
