"""The receiver: OTLP in, a durable spool, an engine that multiplies, exactly-once storage."""
