"""The spool, in front of a log that is away now and then."""
