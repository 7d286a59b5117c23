"""Attacks that infer something of a site or of a person from what is summed."""
