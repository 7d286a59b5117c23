"""Bonawitz et al., CCS'17, figure 4, once more: slow, in Python's integers, and without importing this project.

Field, sharing, key agreement (RFC 7748; P-256), HKDF (RFC 5869), AES (FIPS 197), hashing, wire format and masks are
written here from their specifications. Sealing and signatures are the `cryptography` library's.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from bisect import bisect_right
from decimal import ROUND_CEILING, Decimal, localcontext
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

SUITE_ID = {"x25519": 1, "p256": 2}
MASK_KEY_BYTES = {"x25519": 16, "p256": 32}
FIELD = 65537

# --- framing and hashing


def frame(*fields):
    out = b""
    for field in fields:
        if isinstance(field, int):
            field = field.to_bytes(8, "big")
        if isinstance(field, str):
            field = field.encode("utf-8")
        out += len(field).to_bytes(4, "big") + field
    return out


def separated(use, *fields):
    return b"secagg v1 " + frame(use, *fields)


def sha(data):
    return hashlib.sha256(data).digest()


def digest(use, *fields):
    return sha(separated(use, *fields))


def party(number):
    """A participant's id, wherever it is hashed, signed or derived from: 32 bits."""
    return number.to_bytes(4, "big")


def hkdf(secret, length, info):
    key = hmac.new(bytes(32), secret, hashlib.sha256).digest()
    out, block, counter = b"", b"", 0
    while len(out) < length:
        counter += 1
        block = hmac.new(key, block + info + bytes([counter]), hashlib.sha256).digest()
        out += block
    return out[:length]


# --- msgpack, as far as messages need it: arrays, unsigned integers, byte strings


def pack(value):
    if isinstance(value, (list, tuple)):
        head = bytes([0x90 | len(value)]) if len(value) < 16 else b"\xdc" + len(value).to_bytes(2, "big")
        return head + b"".join(pack(item) for item in value)
    if isinstance(value, int):
        if value < 128:
            return bytes([value])
        size = 1 if value < 1 << 8 else 2 if value < 1 << 16 else 4
        return {1: b"\xcc", 2: b"\xcd", 4: b"\xce"}[size] + value.to_bytes(size, "big")
    size = 1 if len(value) < 1 << 8 else 2 if len(value) < 1 << 16 else 4
    return {1: b"\xc4", 2: b"\xc5", 4: b"\xc6"}[size] + len(value).to_bytes(size, "big") + value


# --- X25519 (RFC 7748 §5) and P-256


def x25519(scalar, u):
    p = 2**255 - 19
    k = bytearray(scalar)
    k[0] &= 248
    k[31] = (k[31] & 127) | 64
    k = int.from_bytes(k, "little")
    x1 = int.from_bytes(u, "little") & (2**255 - 1)
    x2, z2, x3, z3, swap = 1, 0, x1, 1, 0
    for t in reversed(range(255)):
        bit = k >> t & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % p, b * b % p, d * a % p, c * b % p
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % p, x1 * (da - cb) ** 2 % p
        x2, z2 = aa * bb % p, e * (aa + 121665 * e) % p
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, p - 2, p) % p).to_bytes(32, "little")


P256 = 2**256 - 2**224 + 2**192 + 2**96 - 1
P256_BASE = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def p256_add(one, other):
    if one is None or other is None:
        return one or other
    (x1, y1), (x2, y2) = one, other
    if x1 == x2 and (y1 + y2) % P256 == 0:
        return None
    slope = (3 * x1 * x1 - 3) * pow(2 * y1, -1, P256) if one == other else (y2 - y1) * pow(x2 - x1, -1, P256)
    x = (slope * slope - x1 - x2) % P256
    return x, (slope * (x1 - x) - y1) % P256


def p256_multiply(scalar, point):
    result = None
    while scalar:
        if scalar & 1:
            result = p256_add(result, point)
        point, scalar = p256_add(point, point), scalar >> 1
    return result


def public_key(suite, secret):
    if suite == "x25519":
        return x25519(secret, (9).to_bytes(32, "little"))
    x, y = p256_multiply(int.from_bytes(secret, "big"), P256_BASE)
    return b"\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big")


def agree(suite, secret, public):
    if suite == "x25519":
        return x25519(secret, public)
    point = int.from_bytes(public[1:33], "big"), int.from_bytes(public[33:], "big")
    return p256_multiply(int.from_bytes(secret, "big"), point)[0].to_bytes(32, "big")


# --- AES (FIPS 197) in counter mode


def gf_double(a):
    return (a << 1) ^ (0x11B if a & 0x80 else 0)


def gf_multiply(a, b):
    result = 0
    while b:
        if b & 1:
            result ^= a
        a, b = gf_double(a), b >> 1
    return result


def sbox_of(value):
    inverse = next((x for x in range(1, 256) if gf_multiply(value, x) == 1), 0)
    result = 0x63
    for shift in range(5):
        result ^= (inverse << shift | inverse >> (8 - shift)) & 0xFF
    return result


SBOX = [sbox_of(value) for value in range(256)]


def aes_round_keys(key):
    words, size, constant = [list(key[i : i + 4]) for i in range(0, len(key), 4)], len(key) // 4, 1
    for i in range(size, 4 * (size + 7)):
        word = list(words[-1])
        if i % size == 0:
            word = [SBOX[b] for b in word[1:] + word[:1]]
            word[0] ^= constant
            constant = gf_double(constant)
        elif size > 6 and i % size == 4:
            word = [SBOX[b] for b in word]
        words.append([a ^ b for a, b in zip(words[i - size], word, strict=True)])
    return [[byte for word in words[i : i + 4] for byte in word] for i in range(0, len(words), 4)]


def aes_block(round_keys, block):
    state = [a ^ b for a, b in zip(block, round_keys[0], strict=True)]
    for number, key in enumerate(round_keys[1:], 1):
        state = [SBOX[state[(i + 4 * (i % 4)) % 16]] for i in range(16)]
        if number < len(round_keys) - 1:
            mixed = []
            for c in range(0, 16, 4):
                a = state[c : c + 4]
                mixed += [
                    gf_double(a[i]) ^ gf_double(a[(i + 1) % 4]) ^ a[(i + 1) % 4] ^ a[(i + 2) % 4] ^ a[(i + 3) % 4]
                    for i in range(4)
                ]
            state = mixed
        state = [a ^ b for a, b in zip(state, key, strict=True)]
    return bytes(state)


def mask_words(key, count):
    """PRG: AES-CTR from a zero counter block, read as little-endian 64-bit words."""
    keys = aes_round_keys(key)
    stream = b"".join(aes_block(keys, index.to_bytes(16, "big")) for index in range((count + 1) // 2))
    return [int.from_bytes(stream[8 * i : 8 * i + 8], "little") for i in range(count)]


# --- Shamir over GF(65537)


def decode_share(share):
    high = int.from_bytes(share[32:34], "big")
    return [share[2 * i] | share[2 * i + 1] << 8 | (high >> (15 - i) & 1) << 16 for i in range(16)]


def reconstruct(shares):
    """shares: point → 34 bytes. Return the 32-byte secret."""
    values, secret = {x: decode_share(share) for x, share in shares.items()}, b""
    for limb in range(16):
        total = 0
        for x in values:
            weight = 1
            for other in values:
                if other != x:
                    weight = weight * other * pow(other - x, -1, FIELD) % FIELD
            total += values[x][limb] * weight
        secret += (total % FIELD).to_bytes(2, "little")
    return secret


# --- Merkle tree


def merkle_root(leaves):
    while len(leaves) > 1:
        paired = [sha(separated(b"merkle node") + a + b) for a, b in zip(leaves[::2], leaves[1::2], strict=False)]
        leaves = paired + ([leaves[-1]] if len(leaves) % 2 else [])
    return leaves[0]


def merkle_path(leaves, index):
    path = b""
    for _ in range((len(leaves) - 1).bit_length()):
        path += leaves[index ^ 1] if index ^ 1 < len(leaves) else bytes(32)
        paired = [sha(separated(b"merkle node") + a + b) for a, b in zip(leaves[::2], leaves[1::2], strict=False)]
        leaves, index = paired + ([leaves[-1]] if len(leaves) % 2 else []), index // 2
    return path


# --- packing


def lanes(participants, value_bits):
    """Return (bits of a sum, lanes per word, bytes of a word): fewest bytes per value, then fewest words."""
    bits = (participants * (2**value_bits - 1)).bit_length()
    best = None
    for count in range(1, 64 // bits + 1):
        size = -(-count * bits // 8)
        if best is None or size * best[0] <= best[1] * count:
            best = count, size
    return bits, *best


# --- noise (docs/privacy.md)


@lru_cache
def gaussian_steps(sigma, centre=Fraction(0)):
    """Return (2⁸⁰ · P(k < first + i), rounded, for i = 0, 1, …; first) of D(centre, σ)."""
    with localcontext() as context:
        context.prec = 60
        middle, width = Decimal(centre.numerator) / centre.denominator, Decimal(sigma)

        def weight(k):
            return (-((k - middle) ** 2) / (2 * width * width)).exp()

        least, first, last = Decimal(2) ** -88, 0, 0
        while weight(first - 1) >= least:
            first -= 1
        while weight(last + 1) >= least:
            last += 1
        sums = list(accumulate(weight(k) for k in range(first, last + 1)))
        steps = [int((so_far / sums[-1] * 2**80).to_integral_value()) for so_far in sums]
    return (0, *steps), first


def table_digest(sigma, centre=Fraction(0)):
    steps, first = gaussian_steps(sigma, centre)
    return sha(first.to_bytes(4, "big", signed=True) + b"".join(step.to_bytes(11, "big") for step in steps))


def gaussian_samples(sigma, key, count):
    """16 bits a value; 64 more, from behind all of those, for each that they leave undecided."""
    (steps, first), taken = gaussian_steps(sigma), -(-2 * count // 8)
    words = mask_words(key, taken + count)
    stream, further = b"".join(word.to_bytes(8, "little") for word in words[:taken]), iter(words[taken:])
    values, undecided = [], 0
    for i in range(count):
        low = int.from_bytes(stream[2 * i : 2 * i + 2], "little") << 64
        value = bisect_right(steps, low)
        if value != bisect_right(steps, low + 2**64 - 1):
            value, undecided = bisect_right(steps, low + next(further)), undecided + 1
        values.append(value - 1 + first)
    return values, undecided


class NoiseShare:
    """What one of n participants adds, from the text of the scheme's noise."""

    def __init__(self, text, n):
        said = dict(row.split("=") for row in text.split())
        self.rounded, self.text = said["rounded"] == "true", text
        honest, tolerated = n - int(said["colluders"]), int(said["tolerated"])
        with localcontext() as context:
            context.prec = 40
            each = [Decimal(said["variance"]) / (honest - gone) for gone in range(tolerated + 1)]
            parts = [
                each[0] - 4 * self.rounded,
                *(after - before for before, after in zip(each, each[1:], strict=False)),
            ]
            widths = [part.sqrt().quantize(Decimal("1e-9"), ROUND_CEILING) for part in parts]
            whole = sum((width * width for width in widths), Decimal(4 * self.rounded))
            self.bound = int((Decimal("10.3") * whole.sqrt()).to_integral_value(ROUND_CEILING))
        self.base, *self.layers = (f"{width.normalize():f}" for width in widths)
        digests = [table_digest(width) for width in (self.base, *self.layers)]
        if self.rounded:
            centres = [Fraction(step, 256) for step in range(256)]
            ends = [gaussian_steps("2", centre) for centre in centres]
            self.bound -= max(max(-first, first + len(steps) - 2) for steps, first in ends) + 1
            digests.append(sha(b"".join(table_digest("2", centre) for centre in centres)))
        self.tables = digest(b"tables of noise", sha(b"".join(digests)))


# --- envelopes


def parse(data):
    """Return the fields of an envelope."""
    kind_end = 45 + data[42]
    signature_end = kind_end + int.from_bytes(data[43:45], "big")
    return {
        "version": data[0],
        "suite": data[1],
        "sender": int.from_bytes(data[2:6], "big"),
        "recipient": int.from_bytes(data[6:10], "big"),
        "binding": data[10:42],
        "kind": data[45:kind_end].decode("ascii"),
        "signature": data[kind_end:signature_end],
        "payload": data[signature_end:],
    }


def verify_signature(suite, public, envelope):
    message = separated(
        b"envelope signature",
        envelope["suite"],
        envelope["binding"],
        envelope["kind"],
        party(envelope["sender"]),
        party(envelope["recipient"]),
        sha(envelope["payload"]),
    )
    signature = envelope["signature"]
    if suite == "x25519":
        ed25519.Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        return
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public)
    key.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))


class Check:
    """Recomputes a whole round from its secrets and compares every byte that was sent."""

    def __init__(self, vector):
        p = self.p = vector["parameters"]
        self.vector, self.suite, self.active = vector, p["ciphersuite"], p["adversary"] == "active"
        self.n, self.t = p["participants"], p["threshold"]
        self.noise = NoiseShare(p["noise"], self.n) if "noise" in p else None
        self.rows = 2 + (len(self.noise.layers) if self.noise else 0)
        self.undecided = 0
        self.secrets = {
            int(u): {
                "channel": bytes.fromhex(s["channel_secret"]),
                "shared": [bytes.fromhex(s["mask_secret"]), *map(bytes.fromhex, s["seeds"])],
            }
            for u, s in vector["secrets"].items()
        }
        self.sent = {}
        for data in vector["envelopes"]:
            envelope = parse(bytes.fromhex(data))
            self.sent[envelope["sender"], envelope["recipient"], envelope["kind"]] = envelope
        self.bits, self.per_word, self.word_bytes = lanes(self.n, p["value_bits"])
        self.words = -(-p["length"] // self.per_word)

    def step(self, kind):
        """Return sender → envelope of a participants' message."""
        return {u: e for (u, to, k), e in sorted(self.sent.items()) if k == kind and to == 0}

    def public_parameters(self):
        p, context = self.p, self.vector["context"]
        order = [
            "participants",
            "length",
            "value_bits",
            "adversary",
            "ciphersuite",
            "colluders",
            "threshold",
            "early_keys",
        ]
        said = {name: str(p[name]) for name in order}
        if self.noise:
            said = dict(list(said.items())[:5]) | {"noise": f"{p['noise']} tables={self.noise.tables.hex()}"} | said
        scheme = digest(b"scheme id", "bonawitz", *(frame(name, value) for name, value in said.items()))
        assert scheme.hex() == self.vector["scheme_id"]
        roster = b""
        if self.active:
            entries = [
                {"id": i, "name": name, "public_key": key, "not_before": None, "not_after": None}
                for i, name, key in self.vector["roster"]
            ]
            text = json.dumps({"secagg": "roster", "suite": self.suite, "entries": entries}, sort_keys=True, indent=1)
            roster = digest(b"roster", text)
        suite = SUITE_ID[self.suite]
        self.address = digest(b"envelope address", scheme, suite, roster, context["job"], context["round"])
        self.list_binding = self.address
        if p["early_keys"]:
            about = bytes.fromhex(context["context_digest"])
            self.list_binding = digest(b"context of early keys", self.address, about)
        self.public = {
            u: (public_key(self.suite, s["channel"]), public_key(self.suite, s["shared"][0]))
            for u, s in self.secrets.items()
        }
        first = self.step("AdvertiseKeys")
        self.members = tuple(first)
        key_list = [pack([u, e["payload"], b""]) for u, e in first.items()]
        self.session = digest(
            b"session",
            scheme,
            suite,
            roster,
            context["job"],
            context["round"],
            bytes.fromhex(context["context_digest"]),
            digest(b"key list", *key_list),
        )

    def envelopes(self):
        keys = {i: bytes.fromhex(key) for i, _, key in self.vector["roster"]}
        for (sender, _, kind), envelope in self.sent.items():
            expected = {"AdvertiseKeys": self.address, "KeyList": self.list_binding}.get(kind, self.session)
            assert (envelope["version"], envelope["suite"]) == (1, SUITE_ID[self.suite])
            assert envelope["binding"] == expected
            if self.active:
                verify_signature(self.suite, keys[sender], envelope)
            else:
                assert envelope["signature"] == b""

    def pair_info(self, use, u, v):
        which = 0 if use == b"channel key" else 1
        low, high = sorted((u, v))
        ids = party(low) + party(high)
        return separated(use, self.session) + ids + self.public[low][which] + self.public[high][which]

    def channel_key(self, sender, holder):
        """The direction from the smaller id to the larger is the first half."""
        shared = agree(self.suite, self.secrets[sender]["channel"], self.public[holder][0])
        both = hkdf(shared, 64, self.pair_info(b"channel key", sender, holder))
        return both[:32] if sender < holder else both[32:]

    def open_shares(self):
        """Unseal every share; any t of them are the dealer's secrets; digests, root and paths are as stated."""
        self.dealt, self.sealed = {}, {}
        for dealer, envelope in self.step("ShareKeys").items():
            depth = (self.n - 1).bit_length() if self.active else 0
            size = 34 * self.rows + 32 * depth + 16
            others = [u for u in self.members if u != dealer]
            sealed = envelope["payload"][-size * len(others) :]
            shares, paths = {}, {}
            for position, holder in enumerate(others):
                ids = party(dealer) + party(holder)
                aead = (ChaCha20Poly1305 if self.suite == "x25519" else AESGCM)(self.channel_key(dealer, holder))
                data = separated(b"channel associated data", self.session) + ids
                self.sealed[dealer, holder] = sealed[size * position : size * (position + 1)]
                opened = aead.decrypt(bytes(12), self.sealed[dealer, holder], data)
                shares[holder] = [opened[34 * row : 34 * row + 34] for row in range(self.rows)]
                paths[holder] = opened[34 * self.rows :]
            for row in range(self.rows):
                chosen = dict([(u, s[row]) for u, s in shares.items()][-self.t :])
                if len(chosen) == self.t:
                    assert reconstruct(chosen) == self.secrets[dealer]["shared"][row]
            digests = b""
            if self.active:
                count = self.n * self.rows * 32
                start = 1 + (2 if count < 256 else 3)  # after the array's head and the byte string's
                digests = envelope["payload"][start : start + count]
                hashed = [digests[i : i + 32 * self.rows] for i in range(0, len(digests), 32 * self.rows)]
                leaves = [sha(separated(b"merkle leaf") + part) for part in hashed]
                for holder, values in shares.items():
                    for row, value in enumerate(values):
                        own = sha(
                            separated(b"share leaf") + party(dealer) + party(holder) + row.to_bytes(4, "big") + value
                        )
                        assert hashed[holder - 1][32 * row : 32 * row + 32] == own
                    assert paths[holder] == merkle_path(leaves, holder - 1)
                self.root = {**getattr(self, "root", {}), dealer: merkle_root(leaves)}
            assert envelope["payload"] == pack([digests, sealed])
            self.dealt[dealer] = shares

    def advertised(self):
        for u, envelope in self.step("AdvertiseKeys").items():
            seeds = self.secrets[u]["shared"][1:]
            commitments = b"".join(
                digest(b"seed commitment", self.address, party(u), row, s) for row, s in enumerate(seeds, 1)
            )
            context = b"" if self.p["early_keys"] else bytes.fromhex(self.vector["context"]["context_digest"])
            end = len(envelope["payload"]) - 2 - len(context)
            nonce = envelope["payload"][end - 16 : end]
            if self.active and u not in self.root:  # vanished before it dealt: its shares are nowhere
                continue
            root = self.root[u] if self.active else b""
            assert envelope["payload"] == pack([*self.public[u], commitments, root, nonce, context])

    def chains(self):
        """Every seed follows from the one before: c₁ is shared last, the self mask's c_{L+1} first."""
        for secrets in self.secrets.values():
            seeds = secrets["shared"][:0:-1]
            for seed, following in zip(seeds, seeds[1:], strict=False):
                assert hkdf(seed, 32, separated(b"next seed of a chain")) == following

    def layer(self, u, k):
        """Layer k of a participant's noise, from c_k."""
        seed = self.secrets[u]["shared"][self.rows - k]
        key = hkdf(seed, MASK_KEY_BYTES[self.suite], separated(b"layer of noise", self.session, party(u), k))
        return self.drawn(self.noise.layers[k - 1], key)

    def drawn(self, width, key):
        values, undecided = gaussian_samples(width, key, self.p["length"])
        self.undecided += undecided
        return values

    def with_noise(self, u):
        """A vector as it is masked."""
        x = self.vector["vectors"][u - 1]
        if not self.noise:
            return x
        base = self.drawn(self.noise.base, self.noise_key(u))
        parts = [base, *(self.layer(u, k) for k in range(1, self.rows - 1))]
        raised = [value + self.noise.bound + sum(noise) for value, *noise in zip(x, *parts, strict=True)]
        return [min(max(value, 0), 2 ** self.p["value_bits"] - 1) for value in raised]

    def noise_key(self, u):
        return bytes.fromhex(self.vector["secrets"][str(u)]["noise_key"])

    def mask_of(self, u, dealers):
        modulus = 2 ** (8 * self.word_bytes)
        size = MASK_KEY_BYTES[self.suite]
        own = hkdf(self.secrets[u]["shared"][1], size, separated(b"self mask key", self.session, party(u)))
        total = mask_words(own, self.words)
        for v in dealers:
            if v != u:
                shared = agree(self.suite, self.secrets[u]["shared"][0], self.public[v][1])
                pair = mask_words(hkdf(shared, size, self.pair_info(b"pairwise mask key", u, v)), self.words)
                total = [a + b if u > v else a - b for a, b in zip(total, pair, strict=True)]
        return [value % modulus for value in total]

    def masked_inputs(self):
        modulus, dealers = 2 ** (8 * self.word_bytes), tuple(self.dealt)
        for u, envelope in self.step("MaskedInput").items():
            x = self.with_noise(u)
            packed = [
                sum(value << (self.bits * lane) for lane, value in enumerate(x[i : i + self.per_word]))
                for i in range(0, len(x), self.per_word)
            ]
            masked = [(a + b) % modulus for a, b in zip(packed, self.mask_of(u, dealers), strict=True)]
            words = b"".join(value.to_bytes(self.word_bytes, "little") for value in masked)
            assert envelope["payload"] == pack([0, words])

    def opening(self):
        """Which share each survivor opens: of a survivor's self-mask seed, of a vanished dealer's mask key."""
        survivors = set(self.step("MaskedInput"))
        # k layers stay after k dropouts: opened is c_{k+1}, from which all that is too much follows, and the self mask.
        chain = self.rows - 1 - (self.n - len(survivors)) if self.noise else 1
        assert sorted(survivors) == self.vector["survivors"]
        if self.active:
            agreed = digest(b"survivor list", self.session, b"".join(map(party, sorted(survivors))))
            for envelope in self.step("ConsistencyCheck").values():
                assert envelope["payload"] == pack([agreed])
        opened = {dealer: {} for dealer in self.dealt}
        for holder, envelope in self.step("Unmasking").items():
            shares = envelope["payload"][-34 * len(self.dealt) :]
            assert envelope["payload"] == pack([[], shares])
            for position, dealer in enumerate(self.dealt):
                opened[dealer][holder] = shares[34 * position : 34 * position + 34]
                if holder != dealer:
                    row = chain if dealer in survivors else 0
                    assert opened[dealer][holder] == self.dealt[dealer][holder][row]
        for dealer, shares in opened.items():
            chosen = dict(list(shares.items())[: self.t])
            assert reconstruct(chosen) == self.secrets[dealer]["shared"][chain if dealer in survivors else 0]

    def relayed(self):
        """What the server sends is made of what it received, and of who answered."""
        first, dealers, survivors = self.step("AdvertiseKeys"), tuple(self.dealt), self.vector["survivors"]
        entries = [[u, e["payload"], e["signature"] if self.active else b""] for u, e in first.items()]
        signed = sorted(self.step("ConsistencyCheck").items())[: self.t]
        signatures = [envelope["signature"] for _, envelope in signed]
        vanished = [u for u in dealers if u not in survivors]
        expected = {
            "KeyList": pack([entries]),
            "SurvivorList": pack([survivors]),
            "UnmaskRequest": pack([survivors, vanished, [u for u, _ in signed], signatures]),
        }
        for (sender, holder, kind), envelope in self.sent.items():
            if sender == 0 and kind != "SealedShares":
                assert envelope["payload"] == expected[kind]
            elif sender == 0:
                assert envelope["payload"] == pack(
                    [dealers, b"".join(self.sealed[u, holder] for u in dealers if u != holder)]
                )

    def total(self):
        survivors = self.vector["survivors"]
        columns = [sum(column) for column in zip(*(self.with_noise(u) for u in survivors), strict=True)]
        if self.noise:
            stay = self.n - len(survivors)
            off = [self.layer(u, k) for u in survivors for k in range(stay + 1, self.rows - 1)]
            off.append([self.noise.bound * len(survivors)] * len(columns))
            columns = [value - sum(taken) for value, *taken in zip(columns, *off, strict=True)]
        assert self.vector["total"] == columns

    def everything(self):
        for check in (
            self.public_parameters,
            self.envelopes,
            self.chains,
            self.open_shares,
            self.advertised,
            self.masked_inputs,
            self.opening,
            self.relayed,
            self.total,
        ):
            check()
