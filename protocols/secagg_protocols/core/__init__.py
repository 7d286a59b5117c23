"""What every protocol stands on: schemes, machines, envelopes, identities, ledgers, and what is on disk."""
