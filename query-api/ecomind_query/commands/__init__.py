"""The words of the command line, one module each; heavy imports wait until a word runs."""
