"""Secure aggregation inside other people's frameworks. No cryptography here: their messages, our bytes."""
