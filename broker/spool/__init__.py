"""Where events wait on local disk while Kafka does not acknowledge them (G3): see `broker.spool.spool`."""
