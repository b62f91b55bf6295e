"""Verification: ranks of the target on its page, what a chain of judges said, and what follows from both."""
