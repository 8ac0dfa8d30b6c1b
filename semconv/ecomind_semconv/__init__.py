"""The names, units and dialects of AI telemetry that every part of Ecomind shares."""
