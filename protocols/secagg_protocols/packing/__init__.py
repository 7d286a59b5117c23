"""Vectors as packed words: lanes, blocks on the wire, masks."""
