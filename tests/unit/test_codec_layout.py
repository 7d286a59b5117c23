"""Layout: structure kept, order bound into the digest, foreign arrays refused by name."""

from collections import OrderedDict

import numpy as np
import pytest

from secagg.codec import Layout
from secagg_protocols.errors import InputError

ARRAYS = {"weight": np.arange(6, dtype=np.float32).reshape(2, 3), "bias": np.ones((), np.float64)}


class Tensor:
    """What a torch tensor looks like from here: detach, then cpu, then numpy."""

    def __init__(self, array: np.ndarray | None) -> None:
        self.array = array

    def detach(self) -> "Tensor":
        return self

    def cpu(self) -> "Tensor":
        return self

    def numpy(self) -> np.ndarray:
        if self.array is None:
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.array


def test_layout_is_a_value() -> None:
    layout = Layout.of(ARRAYS)
    assert layout == Layout(("weight", "bias"), ((2, 3), ()), ("float32", "float64"))
    assert hash(layout) == hash(Layout.of(ARRAYS))
    assert layout.size == 7
    assert layout.dtype == np.float64


def test_sequence_comes_back_as_a_list_under_numbered_names() -> None:
    layout = Layout.of(list(ARRAYS.values()))
    assert layout.names == ("0", "1")
    back = layout.unflatten(layout.flatten(tuple(ARRAYS.values())))
    assert isinstance(back, list)
    assert [array.dtype.name for array in back] == ["float32", "float64"]


def test_arrays_are_found_by_name_not_by_order_and_need_not_be_contiguous() -> None:
    layout = Layout.of(ARRAYS)
    shuffled = OrderedDict(bias=ARRAYS["bias"], weight=np.asfortranarray(ARRAYS["weight"]))
    assert layout.flatten(shuffled).tolist() == [0, 1, 2, 3, 4, 5, 1]
    assert layout.flatten({**ARRAYS, "weight": ARRAYS["weight"].astype(">f4")}).tolist() == [0, 1, 2, 3, 4, 5, 1]


def test_tensors_are_read_without_importing_torch() -> None:
    tensors = {name: Tensor(array) for name, array in ARRAYS.items()}
    assert Layout.of(tensors) == Layout.of(ARRAYS)
    assert Layout.of(ARRAYS).flatten(tensors).tolist() == [0, 1, 2, 3, 4, 5, 1]


def test_torch_state_dict_goes_and_comes_back() -> None:
    torch = pytest.importorskip("torch")
    model = torch.nn.Linear(3, 2)
    layout = Layout.of(model.state_dict())
    back = layout.unflatten(layout.flatten(model.state_dict()))
    model.load_state_dict({name: torch.from_numpy(array) for name, array in back.items()})
    with pytest.raises(InputError, match=r"'w' has no numpy form: .*\.float\(\)"):
        Layout.of({"w": torch.zeros(2, dtype=torch.bfloat16)})
    with pytest.raises(InputError, match=r"num_batches_tracked.* int64.*keep it local"):
        Layout.of(torch.nn.BatchNorm1d(3).state_dict())


def test_digest_separates_names_shapes_dtypes_and_order() -> None:
    layouts = [
        Layout(("a", "b"), ((2,), (3,)), ("float32", "float32")),
        Layout(("b", "a"), ((2,), (3,)), ("float32", "float32")),
        Layout(("a", "b"), ((3,), (2,)), ("float32", "float32")),
        Layout(("a", "b"), ((2, 1), (3,)), ("float32", "float32")),
        Layout(("a", "b"), ((2,), (3,)), ("float32", "float64")),
        Layout(('a", "b',), ((5,),), ("float32",)),
    ]
    assert len({layout.digest for layout in layouts}) == len(layouts)
    assert len(layouts[0].digest) == 32
    assert layouts[0].digest == Layout.of({"a": np.zeros(2, "f4"), "b": np.zeros(3, "f4")}).digest


@pytest.mark.parametrize("dtype", ["int64", "bool", "complex64", "object", "uint8"])
def test_arrays_that_are_not_floats_are_refused_by_name_with_the_remedy(dtype: str) -> None:
    with pytest.raises(InputError, match=f"'steps' is {dtype}.*keep it local.*or cast it"):
        Layout.of({"w": np.zeros(2), "steps": np.zeros(1, dtype)})


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "nothing to aggregate"),
        ([], "nothing to aggregate"),
        ([np.zeros((0, 3))], "nothing to aggregate"),
        (np.zeros(3), "got ndarray: wrap it in a list"),
        ("weights", "got str: wrap it in a list"),
        ({1: np.zeros(3)}, "names must be strings, got 1"),
        ([[1.0, 2.0]], "'0' is a list: pass a numpy array"),
        ({"w": None}, "'w' is a NoneType: pass a numpy array"),
        ({"w": Tensor(None)}, "'w' has no numpy form"),
    ],
)
def test_what_is_no_collection_of_arrays_is_refused(arrays: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Layout.of(arrays)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (list(ARRAYS.values()), "expected a mapping of arrays as in the layout, got a sequence"),
        ({"weight": ARRAYS["weight"]}, "'bias' is missing"),
        ({**ARRAYS, "scale": np.zeros(1)}, "'scale' is not in the layout"),
        ({**ARRAYS, "weight": ARRAYS["weight"].T}, r"'weight' has shape \(3, 2\), the layout says \(2, 3\)"),
        ({**ARRAYS, "weight": ARRAYS["weight"].astype("f8")}, "'weight' is float64, the layout says float32: cast it"),
    ],
)
def test_arrays_that_differ_from_the_layout_are_refused_by_name(arrays: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Layout.of(ARRAYS).flatten(arrays)  # type: ignore[arg-type]


def test_vector_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(InputError, match=r"has shape \(6,\), the layout needs \(7,\)"):
        Layout.of(ARRAYS).unflatten(np.zeros(6))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ((("a", "b"), ((2,),), ("float32",)), "one shape and one dtype per name"),
        ((("a", "a"), ((2,), (2,)), ("float32",) * 2), "unique"),
        ((("a",), ((-2,),), ("float32",)), "negative"),
        ((("a",), ((2,),), ("int8",)), "'a' is int8"),
        ((("a",), ((2,),), ("float32",), "tuple"), "kind"),
    ],
)
def test_malformed_layouts_cannot_be_made(fields: tuple[object, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Layout(*fields)  # type: ignore[arg-type]
