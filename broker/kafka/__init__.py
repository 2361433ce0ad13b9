"""The log on Apache Kafka, by way of aiokafka."""
