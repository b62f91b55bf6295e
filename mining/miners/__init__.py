"""Miners, one file each; `mining.miners.make` knows them by their names in the configuration."""
