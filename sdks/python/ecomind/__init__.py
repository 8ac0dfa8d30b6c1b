"""The Ecomind SDK for Python."""
