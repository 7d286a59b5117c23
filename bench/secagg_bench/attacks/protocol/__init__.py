"""Attacks on the protocol, played against the real machines."""
