"""Four hospitals adapt one frozen network to their scanner: only the adapters are trained, and only they travel.

An adapter (LoRA, Hu et al., 2021) adds B·A to a frozen weight, with a thin A and B. A is drawn once and stays, the same
for everybody, and B is trained (Sun et al., ICLR'24): so the mean of the products is the product of the mean. With both
trained it is not, whoever adds them up.
"""

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import secagg
from secagg.codec import Layout, MeanCodec, fit
from secagg.round import bound_digest, received_digest

SITES = 4
ROUNDS = 4
RANK = 8

Arrays = dict[str, np.ndarray]


class Adapted(nn.Module):
    """A frozen linear layer and its adapter, which adds nothing as long as B is zero."""

    def __init__(self, frozen: nn.Linear) -> None:
        super().__init__()
        self.frozen = frozen.requires_grad_(False)
        drawn = torch.randn(RANK, frozen.in_features, generator=torch.Generator().manual_seed(0))
        self.register_buffer("a", drawn / frozen.in_features**0.5)
        self.b = nn.Parameter(torch.zeros(frozen.out_features, RANK))

    def forward(self, x: Tensor) -> Tensor:
        return self.frozen(x) + x @ self.a.T @ self.b.T


def adapters_of(model: nn.Module) -> Arrays:
    """Return what is trained, and so what travels: never the frozen weights."""
    return {name: value.detach().numpy().copy() for name, value in model.named_parameters() if value.requires_grad}


def load(model: nn.Module, adapters: Arrays) -> None:
    model.load_state_dict({name: torch.from_numpy(array) for name, array in adapters.items()}, strict=False)


def fitted(model: nn.Module, x: Tensor, y: Tensor, steps: int) -> nn.Module:
    optimiser = torch.optim.Adam([value for value in model.parameters() if value.requires_grad], lr=0.03)
    for _ in range(steps):
        optimiser.zero_grad()
        cross_entropy(model(x), y).backward()
        optimiser.step()
    return model


def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    return (model(x).argmax(dim=1) == y).double().mean().item()


def tables() -> tuple[Tensor, Tensor, Tensor]:
    """Return pictures of digits, the same as the hospitals' scanner gives them (mirrored), and what they show."""
    pixels, digits = load_digits(return_X_y=True)
    x = torch.tensor(pixels / 16, dtype=torch.float32)
    return x, x.reshape(-1, 8, 8).flip(2).reshape(-1, 64), torch.tensor(digits)


def pretrained(x: Tensor, y: Tensor) -> nn.Sequential:
    """Stand in for a network that somebody has published, with an adapter beside each layer."""
    torch.manual_seed(0)
    base = fitted(nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10)), x, y, steps=60)
    return nn.Sequential(*(Adapted(layer) if isinstance(layer, nn.Linear) else layer for layer in base))


def main() -> None:
    torch.set_num_threads(1)  # such small matrices are not worth a second one
    straight, mirrored, y = tables()
    model = pretrained(straight[:800], y[:800])
    rows = {site: slice(800 + 200 * (site - 1), 800 + 200 * site) for site in range(1, SITES + 1)}
    test = slice(1600, None)
    adapters = adapters_of(model)
    print(f"as published: accuracy {accuracy(model, straight[test], y[test]):.1%}")
    print(f"on the hospitals' pictures: {accuracy(model, mirrored[test], y[test]):.1%}")

    codec = MeanCodec(Layout.of(adapters), clip=2.0)  # equal sites: a plain mean
    scheme = secagg.Bonawitz(SITES, codec.length, value_bits=codec.value_bits, colluders=1)
    fit(scheme, codec)
    ledgers = {site: secagg.MemoryLedger() for site in rows}
    for number in range(1, ROUNDS + 1):
        vectors = {}
        for site, own in rows.items():
            load(model, adapters)
            trained = adapters_of(fitted(model, mirrored[own], y[own], steps=30))
            vectors[site] = codec.encode({name: trained[name] - adapters[name] for name in adapters}).vector
        # The frozen weights are bound too: nobody trains an adapter to another network than everyone else's.
        context = secagg.RoundContext("adapters", number, bound_digest(received_digest(state_of(model, adapters))))
        run = secagg.simulate(scheme, vectors, context=context, ledgers=ledgers)
        mean = codec.decode(run.total, len(run.survivors)).arrays
        adapters = {name: adapters[name] + mean[name] for name in adapters}
        load(model, adapters)
        print(f"round {number}: accuracy {accuracy(model, mirrored[test], y[test]):.1%}")
    whole = sum(array.numel() for array in model.state_dict().values())
    print(f"{codec.layout.size} values travel, of {whole}; a site sends {max(run.bytes_sent.values())} bytes a round")


def state_of(model: nn.Module, adapters: Arrays) -> Arrays:
    """Return all that a site is sent or has: the model with these adapters."""
    return {name: tensor.numpy() for name, tensor in model.state_dict().items()} | adapters


if __name__ == "__main__":
    main()
