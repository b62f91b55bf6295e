"""Presets: YAML files of settings, one for each way to run."""
