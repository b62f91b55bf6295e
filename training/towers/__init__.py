"""Towers: what turns images or texts alone into features, frozen or trained."""
