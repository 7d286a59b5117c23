"""Measurements of the engine: what a secure sum costs beside the raw cryptography that it cannot avoid."""
