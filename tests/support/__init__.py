"""What several test folders share: OTLP requests made by hand, a receiver for one test."""
