"""A secure sum of the same updates with Flower's SecAgg+, FLARE's HE, plain numpy masking, and ours, side by side.

Each contestant runs alone in a process of its own and is measured from float32 update to bytes at a participant, and
from bytes to the mean at the server. One contestant is one module with a function `measure(task) -> Cost`.
"""
