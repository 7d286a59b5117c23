"""The same `Round` and `Site` over three transports: a function call, a socket with deadlines, a mailbox of files."""

import asyncio

import pytest

from secagg.round import drive
from secagg_protocols import RoundFailed

GONE = "site-3"
DEADLINE = 1.0  # seconds for a step; only steps in which somebody hangs take as long


def test_every_scheme_by_function_calls(federation, scheme_name):
    parties = federation(scheme_name)
    rnd = parties.run(parties.round())
    parties.check(rnd, [1, 2, 3, 4, 5])
    assert rnd.refused == ()
    assert rnd.outcome.answered == dict.fromkeys(parties.scheme.steps, (1, 2, 3, 4, 5))
    assert (rnd.step, rnd.needed, rnd.uploads, rnd.waiting_for) == (None, 0, False, frozenset())


def test_every_scheme_with_one_site_that_vanishes_before_its_vector(federation, scheme_name):
    parties = federation(scheme_name)

    rnd = parties.run(parties.round(), way=lambda name, request, rnd: None if name == GONE and rnd.uploads else request)
    parties.check(rnd, [1, 2, 4, 5])
    assert list(rnd.dropped) == [3]
    assert str(rnd.dropped[3].step) == parties.scheme.upload_step
    before = parties.scheme.steps.index(parties.scheme.upload_step)
    counts = [len(who) for who in rnd.outcome.answered.values()]
    assert counts == [5] * before + [4] * (len(parties.scheme.steps) - before)


def test_too_few_is_an_outcome(federation, variant):
    parties = federation(variant)
    rnd = parties.run(parties.round(), way=lambda name, request, rnd: request if name < GONE else None)
    assert rnd.output is None
    assert isinstance(rnd.outcome.failure, RoundFailed)
    assert "failed" in str(rnd.outcome)
    assert rnd.outcome.answered == {parties.scheme.steps[0]: (1, 2)}


# --- a socket: frames of one length and as many bytes


async def send(writer, data: bytes) -> None:
    writer.write(len(data).to_bytes(8, "big") + data)
    await writer.drain()


async def receive(reader, limit: int) -> bytes:
    size = int.from_bytes(await reader.readexactly(8), "big")
    if size > limit:
        raise ConnectionError(f"a frame of {size} bytes; at most {limit} are read")
    return await reader.readexactly(size)


async def join(parties, name: str, port: int, arrays, hangs) -> None:
    """A site: it calls the aggregator, says its name, and answers what it is asked, each time from its files alone."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        await send(writer, name.encode())
        count = 0
        while True:
            request = await receive(reader, 1 << 24)
            count += 1
            if hangs(name, count):
                await asyncio.Event().wait()  # for ever; its connection stays open
            await send(writer, parties.answer(name, request, arrays))
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the aggregator is done with it
    finally:
        writer.close()


async def serve(parties, rnd, arrays, hangs):
    """The aggregator: every step is closed when all have answered, or at its deadline."""
    ends: dict[str, tuple] = {}
    everybody = asyncio.Event()

    async def joined(reader, writer):
        ends[(await receive(reader, 256)).decode()] = (reader, writer)
        if len(ends) == len(parties.names):
            everybody.set()

    listener = await asyncio.start_server(joined, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    sites = [asyncio.create_task(join(parties, name, port, arrays, hangs)) for name in parties.names]
    await asyncio.wait_for(everybody.wait(), 30)

    async def ask(name: str, request: bytes) -> tuple[str, bytes]:
        reader, writer = ends[name]
        await send(writer, request)
        return name, await receive(reader, rnd.answer_limit)

    async def ask_all(requests) -> list[tuple[str, bytes]]:
        asked = [asyncio.create_task(ask(name, request)) for name, request in requests.items()]
        answered, late = await asyncio.wait(asked, timeout=DEADLINE)
        for task in late:
            task.cancel()
        return [task.result() for task in answered]

    loop = asyncio.get_running_loop()
    await asyncio.to_thread(
        drive, rnd, lambda requests, uploads: asyncio.run_coroutine_threadsafe(ask_all(requests), loop).result()
    )
    for _, writer in ends.values():
        writer.close()
    for site in sites:
        site.cancel()
    await asyncio.gather(*sites, return_exceptions=True)
    listener.close()
    await listener.wait_closed()


@pytest.mark.parametrize("step", [2, 3])
def test_over_a_socket_a_peer_that_hangs_costs_one_deadline(federation, variant, sample, step):
    parties = federation(variant)
    rnd = parties.round(names=list(reversed(parties.names)) if "active" in variant else None)
    asyncio.run(serve(parties, rnd, sample(0), lambda name, count: (name, count) == (GONE, step)))
    parties.check(rnd, [1, 2, 4, 5])
    assert list(rnd.dropped) == [3]
    assert rnd.refused == ()


# --- a mailbox: nobody is there at the same time as anybody else


def test_through_a_mailbox_of_files_everybody_is_rebuilt_for_every_letter(federation, variant, sample, tmp_path):
    """Sites and aggregator alike: whoever looks into its box is a new process, and knows what its files tell it."""
    parties = federation(variant)
    box, folder = tmp_path / "box", tmp_path / "aggregator"
    box.mkdir()
    proposal = parties.proposal()
    with parties.kept(folder, proposal) as rnd:
        post(box, rnd.begin())
    while True:
        for asked in sorted(box.glob("*.request"), reverse=True):  # each site in its own time
            letter = asked.read_bytes()
            turn = parties.site(asked.stem).take(letter)
            if turn.awaits_vector and asked.stem == GONE:
                continue  # its owner never approves
            if turn.awaits_vector:  # training takes a night; another process brings its result
                turn = parties.site(asked.stem).take(letter)
                turn.contribute(parties.vector(asked.stem, sample(0)), parties.seen(sample(0)))
            asked.with_suffix(".answers").write_bytes(turn.answers)
            asked.unlink()
        for answered in box.glob("*.answers"):
            with parties.kept(folder, proposal) as rnd:
                rnd.take(answered.stem, answered.read_bytes())
            answered.unlink()
        with parties.kept(folder, proposal) as rnd:
            assert rnd.waiting_for <= {GONE}
            post(box, rnd.advance())
            if rnd.output is not None:
                break
    parties.check(rnd, [1, 2, 4, 5])
    assert rnd.refused == ()


def post(box, requests):
    for name in requests:
        (box / f"{name}.request").write_bytes(requests[name])
