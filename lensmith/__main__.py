"""`python -m lensmith`: the command line without its script."""

from lensmith.cli import main

if __name__ == "__main__":
    main()
