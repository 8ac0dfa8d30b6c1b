"""The query side: the HTTP API, the built-in page and the `ecomind` command line."""
