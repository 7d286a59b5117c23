"""`secagg bench liars`: what participants that lie can make the server do before it gives a sum, or gives up."""
