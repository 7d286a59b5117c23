"""Plain: the sum in the clear. The reference every scheme must equal, and the do-nothing test double."""

from .params import Plain

__all__ = ["Plain"]
