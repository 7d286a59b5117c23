"""Reserved for homomorphic schemes. Empty today: it holds no scheme, and nothing imports it."""
