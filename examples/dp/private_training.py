"""Six hospitals train under differential privacy: each adds noise to its own gradients before anything is masked.

Secure aggregation hides one update, and says nothing of what the sum gives away. The noise does: ε bounds how much
everything that ever leaves a site can depend on any one of its rows. A patient with several rows is not covered by it.
"""

import secrets

import numpy as np

import secagg
from secagg.codec import Layout, MeanCodec, fit
from secagg.round import bound_digest, received_digest
from secagg.train.accounting import Ledger, Mechanism, noise_for
from secagg.train.builtin import load_breast_cancer
from secagg.train.evaluate import score
from secagg.train.examples import Examples
from secagg.train.fedavg import LocalTraining, largest_coordinate, local_update
from secagg.train.model import Model
from secagg.train.stream import SECRET_BYTES, SiteStream

SITES = 6
ROUNDS = 6
EPSILON, DELTA = 3.0, 1e-5
RATE, STEPS, CLIP_NORM = 0.5, 2, 0.5
NOMINAL_ROWS = 64
"""Agreed beforehand. Gradients are divided by it and not by a site's own number of rows, which is a secret."""


def main() -> None:
    data = load_breast_cancer()
    order = np.random.default_rng(0).permutation(len(data.y))
    held_out, rest = np.split(order, [140])
    rows = dict(enumerate(np.array_split(rest, SITES), start=1))
    model = Model("logistic", len(data.features), hidden=0)
    params = model.initial(np.random.default_rng(0))

    # The least noise that keeps ε after all rounds, by the accountant that `secagg train` uses.
    noise = noise_for(EPSILON, DELTA, RATE, STEPS, ROUNDS)
    spent = Ledger(Mechanism(noise, RATE, STEPS), DELTA)
    how = LocalTraining(
        steps=STEPS,
        sampling_rate=RATE,
        learning_rate=2.0,
        clip_norm=CLIP_NORM,
        prox_mu=0.0,
        noise_multiplier=noise,
        lot_size=RATE * NOMINAL_ROWS,
    )
    # No weights and no metrics: their sum would be a function of the rows that no noise covers.
    codec = MeanCodec(Layout.of(params), clip=largest_coordinate(how, 4 * RATE * NOMINAL_ROWS))
    scheme = secagg.Bonawitz(SITES, codec.length, value_bits=codec.value_bits, colluders=1)
    fit(scheme, codec)
    # A repeated question is charged like any other, so a site may answer again.
    policy = secagg.Policy(colluders=1, reruns=ROUNDS)
    ledgers = {site: secagg.MemoryLedger() for site in rows}
    own_secret = {site: secrets.token_bytes(SECRET_BYTES) for site in rows}  # its noise: nobody else may know it
    print(f"noise {noise:.2f} × CLIP_NORM, for ε = {EPSILON:g} at δ = {DELTA:g} after {ROUNDS} rounds")

    for number in range(1, ROUNDS + 1):
        vectors = {}
        for site, own in rows.items():
            stream = SiteStream(own_secret[site], site, number)
            update = local_update(model, params, Examples.of(data.x[own], data.y[own]), how, stream)
            vectors[site] = codec.encode(update.delta).vector
        spent.charge(list(rows))  # whether or not a sum comes out
        context = secagg.RoundContext("private", number, bound_digest(received_digest(params)))
        drop = {3: "MaskedInput"} if number == 4 else {}
        run = secagg.simulate(scheme, vectors, context=context, policy=policy, ledgers=ledgers, drop=drop)
        mean = codec.decode(run.total, len(run.survivors)).arrays
        params = {name: params[name] + mean[name] for name in params}
        auc = score(model, params, data.x[held_out], data.y[held_out]).auc
        print(f"round {number}: {len(run.survivors)} sites, AUC {auc:.3f}, ε = {spent.epsilon():.2f} for any one row")
    assert spent.epsilon() <= EPSILON


if __name__ == "__main__":
    main()
