"""Five hospitals train one torch model in a loop of your own: the server adds up masked updates and reads none."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

import secagg
from secagg.codec import Layout, MeanCodec, fit
from secagg.round import bound_digest, received_digest

SITES = 5
ROUNDS = 5
DROPS = {2: {4: "MaskedInput"}}  # round → who drops out, and before which message

Arrays = dict[str, np.ndarray]


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def arrays_of(model: nn.Module) -> Arrays:
    """Return the state dict as plain arrays: that is what a codec takes."""
    return {name: tensor.detach().numpy().copy() for name, tensor in model.state_dict().items()}


def load(model: nn.Module, arrays: Arrays) -> None:
    model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})


def split() -> tuple[dict[int, tuple[torch.Tensor, torch.Tensor]], tuple[torch.Tensor, torch.Tensor]]:
    """Return each site's own rows, in unequal numbers, and the rows to test on."""
    pixels, digits = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(digits))
    x = torch.tensor(pixels[order] / 16, dtype=torch.float32)
    y = torch.tensor(digits[order])
    whose = [slice(0, 500), slice(500, 800), slice(800, 1000), slice(1000, 1200), slice(1200, 1400)]
    return {site: (x[own], y[own]) for site, own in enumerate(whose, start=1)}, (x[1400:], y[1400:])


def train(global_model: Arrays, x: torch.Tensor, y: torch.Tensor) -> tuple[Arrays, float]:
    """One site's work on its own rows. Returns what training changed, and the loss it began with."""
    model = network()
    load(model, global_model)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.5)
    losses = []
    for _ in range(20):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return {name: after - global_model[name] for name, after in arrays_of(model).items()}, losses[0]


def accuracy(arrays: Arrays, x: torch.Tensor, y: torch.Tensor) -> float:
    model = network()
    load(model, arrays)
    return (model(x).argmax(dim=1) == y).double().mean().item()


def main() -> None:
    torch.set_num_threads(1)  # such small matrices are not worth a second one
    sites, test = split()
    model = arrays_of(network())
    # Public before the first round: the range of one value of an update, and of a site's number of rows.
    codec = MeanCodec(Layout.of(model), clip=1.0, weight_max=512, metrics={"loss": (0.0, 10.0)})
    scheme = secagg.Bonawitz(SITES, codec.length, value_bits=codec.value_bits, colluders=1)
    fit(scheme, codec)
    ledgers = {site: secagg.MemoryLedger() for site in sites}  # what each has answered: it answers once for one model

    for number in range(1, ROUNDS + 1):
        vectors = {}
        updates = {}
        for site, rows in sites.items():
            updates[site], loss = train(model, *rows)
            encoded = codec.encode(updates[site], weight=len(rows[1]), metrics={"loss": loss})
            assert encoded.clipped == 0  # else the clip is too small for what training changes
            vectors[site] = encoded.vector
        context = secagg.RoundContext("quickstart", number, bound_digest(received_digest(model)))
        run = secagg.simulate(scheme, vectors, context=context, ledgers=ledgers, drop=DROPS.get(number))
        mean = codec.decode(run.total, len(run.survivors))

        weights = {site: len(sites[site][1]) for site in run.survivors}
        plain = {name: sum(weights[own] * updates[own][name] for own in weights) / mean.weight for name in model}
        error = max(float(np.abs(mean.arrays[name] - plain[name]).max()) for name in model)
        assert error <= codec.error_bound(len(run.survivors), mean.weight)
        model = {name: model[name] + mean.arrays[name] for name in model}
        print(
            f"round {number}: {len(run.survivors)} of {SITES} sites, {mean.weight} rows, mean loss "
            f"{mean.metrics['loss']:.2f}, accuracy {accuracy(model, *test):.1%}"
        )
    sent = max(run.bytes_sent.values())
    print(f"the model has {codec.layout.size} values; a site sends {sent} bytes a round")


if __name__ == "__main__":
    main()
