"""`python -m ecomind_query`: the same as the `ecomind` command."""

from ecomind_query.cli import main

if __name__ == "__main__":
    main()
