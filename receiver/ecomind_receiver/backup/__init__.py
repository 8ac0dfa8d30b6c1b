"""Backups of one data directory: taken while it is in use, checked before and after a restore.

`making.py` writes one, `restoring.py` brings one back, `manifest.py` says what is in it, and
`sums.py` what its tables come to.
"""
