"""`secagg bench attacks`: which attack beats which defence. An attack or a defence is one small class in one file."""
