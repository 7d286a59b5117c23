"""Rounds over real machines: a coordinator on HTTPS, and sites that poll it outwards.

For statistics and few, long rounds. The service moves the opaque bytes of `secagg.round` for one round after another;
what they are about is `secagg.stats`' to say. `calls` says who calls, `limits` and `listening` bound what a caller may
cost, `desk` knows what is asked now and who has answered, `conduct` when a step is closed, `web` is all of it over
HTTP; `joining` is a site's side.
"""
