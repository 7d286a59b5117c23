"""The whole protocols as prose, without machines: what the machines must give as well."""

import pytest

from secagg_he.single_key.run import run_single_key


@pytest.mark.parametrize("gone", [(), (2, 4)])
@pytest.mark.parametrize("release_to", ["server", "participants"])
def test_the_prose_of_one_group_key_gives_what_the_machines_give(make, make_round, context, release_to, gone):
    """SEAL draws anew each time, so the ciphertexts differ; the sums may not."""
    scheme = make(5, 60_000, threshold=3, release_to=release_to)
    running = make_round(scheme).encrypt(without=gone).request().release()
    vectors = {who: vector for who, vector in running.vectors.items() if who not in gone}
    written = run_single_key(scheme, context, scheme.make_group_key()[0], vectors)
    machines = running.server.output if release_to == "server" else running.clients[1].output
    assert written.survivors == machines.survivors == tuple(vectors)
    assert (written.total == sum(vectors.values())).all()
    assert (machines.total == sum(vectors.values())).all()
