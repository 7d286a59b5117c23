"""Ckks and Bfv: one key, shared by the participants and never seen by the server. `scheme` is made from `params`."""

from .client import SingleKeyClient
from .params import Bfv, Ckks, SingleKey
from .server import SingleKeyServer

SingleKey.machines = SingleKeyClient, SingleKeyServer

__all__ = ["Bfv", "Ckks"]
