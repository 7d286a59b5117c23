"""What protocols have in common in which everyone deals shares of a secret to everyone (Bonawitz et al., CCS'17).

Keys are advertised, shares are sealed and relayed, vectors are uploaded under those secrets, one set of survivors is
fixed (signed by its members, against an active server), and holders open for that set and no other.
"""

from .params import Dealing

__all__ = ["Dealing"]
