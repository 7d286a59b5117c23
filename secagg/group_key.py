"""The key that the participants of `Bfv` and `Ckks` share, and its delivery: what a program needs, in one place."""

from secagg_he import GroupKey, GroupKeyHandle
from secagg_he.delivery import Party, open_sealed, request, seal_for

__all__ = ["GroupKey", "GroupKeyHandle", "Party", "open_sealed", "request", "seal_for"]
