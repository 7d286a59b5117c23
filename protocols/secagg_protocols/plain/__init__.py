"""Plain: the sum in the clear. The reference every scheme must equal, and the do-nothing test double."""

from .client import PlainClient
from .params import Plain
from .server import PlainServer

Plain.machines = PlainClient, PlainServer

__all__ = ["Plain"]
