"""Objectives: what a training optimises, one module each, combined by weights."""
