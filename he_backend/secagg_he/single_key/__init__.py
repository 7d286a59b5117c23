"""Ckks and Bfv: one key, shared by the participants and never seen by the server. `scheme` is made from `params`."""

from .params import Bfv, Ckks

__all__ = ["Bfv", "Ckks"]
