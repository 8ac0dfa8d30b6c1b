"""Kafka or Redpanda as the buffer: records outlive the receiver, batches are stored once."""
