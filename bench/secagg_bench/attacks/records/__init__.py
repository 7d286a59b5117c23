"""Attacks that bring back records from what is summed."""
