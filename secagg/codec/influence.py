"""How far one site can move a mean. Inputs are hidden, so nobody sees who did; this is the most that it can have been.

The protocol enforces the range of the *sum*: with s survivors, 0 to s · (2**value_bits − 1) in every coordinate. A site
that keeps to its own range may weigh each coordinate as if it had weight_max examples, whatever weight it sends (the
two are not tied together). One that does not keep to it has the room of all s: it sets the sum to what it likes.
"""

from dataclasses import dataclass

from secagg.codec.codec import Codec
from secagg.codec.scalars import check_total_weight


@dataclass(frozen=True, slots=True)
class Influence:
    """The most that one site can have done to any value of a mean, in the arrays' unit.

    within    moved it, up or down, by numbers in the site's own range
    anywhere  set it to anything from −anywhere to anywhere, by numbers beyond it, which the sum does not show
    """

    within: float
    anywhere: float

    def __str__(self) -> str:
        return (
            f"one site can have moved any value of the mean by {self.within:.3g} within its own range, and set it "
            f"anywhere in ±{self.anywhere:.3g} beyond it"
        )


def influence(codec: Codec, survivors: int, weight: int | None = None) -> Influence:
    """Server, or whoever knows the sum: the influence of one site on the mean that `codec` decoded.

    survivors  how many vectors are in the sum
    weight     their total weight; None for an unweighted codec

    The mean is (2 Σq / L − s) · clip · weight_max / weight with q in 0 … L, so one q moves it by
    clip · weight_max / weight about the middle. `Codec.decode` clips to ±clip, so nothing moves by more than 2 clip.
    As s · weight_max ≥ weight, the range of the sum always covers ±clip.

    Raises InputError when survivors cannot have that weight.
    """
    weight = survivors if weight is None else weight
    check_total_weight(weight, survivors, codec.weight_max)
    return Influence(min(codec.clip * (codec.weight_max or 1) / weight, 2 * codec.clip), codec.clip)
