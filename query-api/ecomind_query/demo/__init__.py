"""The demo: a real instrumented app, a provider for it on loopback, and a month of history.

Everything reaches Ecomind the way a user's own app would, over OTLP; nothing here writes to a
store.
"""
