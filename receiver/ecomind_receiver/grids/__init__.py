"""Plug-ins for hourly carbon intensity, as `ECOMIND_GRID_HOURLY` names them.

`entries.py` reads the setting and `factory.py` builds what it names: `uk.py` asks a public
service, `table.py` reads a file that anybody can fill. Both hold what they know in memory and have
one thread that keeps it fresh, so that a question never waits.
"""
