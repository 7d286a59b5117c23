"""The same federation twice, as FLARE jobs: `ours` with our recipe, `flare` with FLARE's encryption. No training."""
