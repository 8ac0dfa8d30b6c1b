"""Importers: what others publish, made into the table that `file:` of ECOMIND_GRID_HOURLY reads.

Each reads the files as they are downloaded. None of their data ships with Ecomind.
"""
