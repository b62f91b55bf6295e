"""The command line of Lensmith."""
