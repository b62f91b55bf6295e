"""Prompts: one versioned file each. A changed text is a new version, since answers are stored under it."""
