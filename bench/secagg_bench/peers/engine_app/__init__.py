"""The same federation twice, as Flower apps: `ours` with our adapter, `flower` with Flower's SecAgg+. No training."""
