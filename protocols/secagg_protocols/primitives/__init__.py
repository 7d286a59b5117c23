"""Building blocks that know nothing of rounds: fields, sharing and decoding, keys, signatures, randomness."""
