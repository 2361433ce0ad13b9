"""A real Apache Kafka on loopback: for the tests, for `make kafka`, for the bench."""
