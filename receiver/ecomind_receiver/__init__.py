"""The receiver: OTLP in, a durable spool, the engine that decodes and multiplies, exactly-once storage."""
