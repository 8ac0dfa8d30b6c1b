"""The processor: from names to coefficients, and from quantities to a footprint.

Pure: standard library only, no network, no database, no framework, so that the receiver, the SDK
and an auditor's notebook compute the same figures.
"""
