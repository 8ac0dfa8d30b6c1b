"""What an OTLP receiver owes its clients: 47 cases as data, run against any receiver.

The command line and the tests are thin over this package: `cases.CASES` says what is promised,
`runner.run` finds out.
"""
