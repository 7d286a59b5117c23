"""What is claimed of noise under the sum, measured: `secagg bench privacy`."""
