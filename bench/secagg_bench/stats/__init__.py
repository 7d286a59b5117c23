"""`secagg bench stats`: statistics through secure sums beside what other packages make of the pooled rows."""
