#!/usr/bin/env python3
"""Test vectors for token text, checksums, key derivation, digests, seals and event chains.

Written from the specification in README.md of this folder, with nothing but Python's standard library, so that the
vectors are not the Rust code's own opinion of itself. `generate.py` writes them; `generate.py --check` fails if the
files differ from what it would write.
"""

import base64
import hashlib
import hmac
import json
import pathlib
import sys
import uuid
import zlib

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def base62(number):
    digits = ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = DIGITS[digit] + digits
    return digits


def checksum(text):
    return base62(zlib.crc32(text.encode()))


def token_text(prefix, selector, verifier):
    covered = f"{prefix}_{selector}{verifier}"
    return covered + checksum(covered)


def hkdf(master, purpose):
    """RFC 5869 with SHA-256, no salt, 32 bytes of output: one block."""
    pseudorandom = hmac.digest(bytes(32), master, "sha256")
    return hmac.digest(pseudorandom, b"api-tokens/v1/" + purpose.encode() + b"\x01", "sha256")


class Encoder:
    """Every field with its length in front, u32 big-endian."""

    def __init__(self, kind):
        self.out = b""
        self.text(kind)

    def bytes(self, value):
        self.out += len(value).to_bytes(4, "big") + value

    def text(self, value):
        self.bytes(value.encode())

    def number(self, value):
        self.bytes(value.to_bytes(8, "big"))

    def option(self, value, write):
        self.bytes(b"\x00" if value is None else b"\x01")
        if value is not None:
            write(value)

    def list(self, values, write):
        self.out += len(values).to_bytes(4, "big")
        for value in values:
            write(value)

    def secret(self, value):
        self.number(value["generation"])
        self.bytes(value["selector"].encode())

    def head(self, value):
        self.number(value["seq"])
        self.bytes(bytes.fromhex(value["hash"]))
        self.number(value["at"])


def encode_token(token):
    e = Encoder("api-tokens/token/v1")
    e.bytes(uuid.UUID(token["id"]).bytes)
    e.text(token["owner"])
    e.text(token["name"])

    def grant(value):
        e.text(value["scope"])
        only = None if value["resources"] == "all" else value["resources"]
        e.option(only, lambda resources: e.list(resources, e.text))

    def superseded(value):
        e.secret(value)
        e.number(value["until"])

    e.list(token["grants"], grant)
    e.option(token["networks"], lambda networks: e.list(networks, e.text))
    e.number(token["created_at"])
    e.text(token["created_by"])
    e.option(token["expires_at"], e.number)
    e.option(token["revoked_at"], e.number)
    e.secret(token["current"])
    e.option(token["superseded"], superseded)
    e.number(token["revision"])
    e.head(token["head"])
    return e.out


def encode_owner(owner):
    e = Encoder("api-tokens/owner/v1")
    e.text(owner["id"])
    e.option(owner["suspended_at"], e.number)
    e.number(owner["revision"])
    e.head(owner["head"])
    return e.out


def encode_policy(row):
    policy = row["policy"]
    e = Encoder("api-tokens/policy/v1")
    e.number(policy["live_tokens_per_owner"])
    e.option(policy["max_lifetime"], e.number)
    e.number(int(policy["never_expires"]))
    e.number(policy["default_lifetime"])
    e.number(policy["max_overlap"])
    e.number(policy["default_overlap"])
    e.head(row["head"])
    return e.out


def encode_event(event):
    e = Encoder("api-tokens/event/v1")
    e.text(event["subject"])
    e.number(event["seq"])
    e.option(event["owner"], e.text)
    e.number(event["at"])
    e.text(event["actor"])
    e.text(event["body"])
    return e.out


MASTER = bytes(range(32))
TOKEN_ID = "01935b2a-7c1e-7000-8000-0123456789ab"
SELECTORS = ["0123456789ABCDEF", "abcdefghijklmnop"]
VERIFIERS = ["0" * 32, "QRSTUVWXYZabcdefghijklmnopqrstuv"]
NOW = 1_800_000_000_123_456


def format_vectors():
    good = token_text("acme_live", SELECTORS[0], VERIFIERS[1])
    return {
        "checksums": [
            {"input": text, "crc32": zlib.crc32(text.encode()), "base62": checksum(text)}
            for text in ["0" * 30, "A" * 30, "acme_live_" + SELECTORS[0] + VERIFIERS[1]]
        ],
        "numbers": [{"number": n, "base62": base62(n)} for n in [0, 61, 62, 4_294_967_295]],
        "tokens": [
            {"prefix": p, "selector": s, "verifier": v, "text": token_text(p, s, v)}
            for p in ["a", "acme_live", "abcdefghijklmnopqrstuvwx"]
            for s, v in zip(SELECTORS, VERIFIERS)
        ],
        "refused": [
            {"prefix": "acme_live", "text": text, "error": error}
            for text, error in [
                ("", "prefix"),
                ("acme_test" + good[9:], "prefix"),
                ("ACME_LIVE" + good[9:], "prefix"),
                (" " + good, "prefix"),
                ("acme_live_", "length"),
                (good[:-1], "length"),
                (good + "0", "length"),
                (good + "\n", "length"),
                (good[:12] + "-" + good[13:], "alphabet"),
                (good[:40] + "\u00e9" + good[42:], "alphabet"),
                (good[:-1] + ("0" if good[-1] != "0" else "1"), "checksum"),
                (good[:10] + "1" + good[11:], "checksum"),
                (good[:30] + good[31] + good[30] + good[32:], "checksum"),
            ]
        ],
    }


def digest_vectors():
    keys = {purpose: hkdf(MASTER, purpose).hex() for purpose in ["digest", "seal", "receipt"]}
    key = bytes.fromhex(keys["digest"])
    return {
        "master": base64.b64encode(MASTER).decode(),
        "subkeys": keys,
        "check": hkdf(MASTER, "check")[:16].hex(),
        "digests": [
            {
                "verifier": verifier,
                "token": token,
                "generation": generation,
                "digest": hmac.digest(
                    key, verifier.encode() + uuid.UUID(token).bytes + generation.to_bytes(4, "big"), "sha256"
                ).hex(),
            }
            for verifier in VERIFIERS
            for token in [TOKEN_ID, "00000000-0000-0000-0000-000000000000"]
            for generation in [1, 2, 4_294_967_295]
        ],
    }


def chain_vectors():
    body = {
        "created": '{"kind":"created","name":"b\u00efllin\u011f","grants":[],"networks":null,"expires_at":null,'
        '"secret":{"generation":1,"selector":"0123456789ABCDEF"}}',
        "revoked": '{"kind":"revoked"}',
        "policy": '{"kind":"suspended"}',
    }
    token = f"token:{TOKEN_ID}"
    before, chain = bytes(32), []
    for seq, kind in [(1, "created"), (2, "revoked")]:
        event = {"subject": token, "seq": seq, "owner": "u/1", "at": NOW + seq, "actor": "ann", "body": body[kind]}
        before = hashlib.sha256(before + encode_event(event)).digest()
        chain.append({**event, "hash": before.hex()})
    alone = {"subject": "policy", "seq": 1, "owner": None, "at": NOW, "actor": "root", "body": body["policy"]}
    alone["hash"] = hashlib.sha256(bytes(32) + encode_event(alone)).hexdigest()
    return {"chains": [chain, [alone]]}


def seal_vectors():
    key = hkdf(MASTER, "seal")
    head = {"seq": 2, "hash": "ab" * 32, "at": NOW}
    plain = {
        "id": TOKEN_ID,
        "owner": "u/1",
        "name": "b\u00efllin\u011f",
        "grants": [],
        "networks": None,
        "created_at": NOW,
        "created_by": "ann",
        "expires_at": None,
        "revoked_at": None,
        "current": {"generation": 1, "selector": SELECTORS[0]},
        "superseded": None,
        "revision": 1,
        "head": head,
    }
    full = {
        **plain,
        "grants": [
            {"scope": "projects:read", "resources": "all"},
            {"scope": "projects:write", "resources": ["p1", "p2"]},
        ],
        "networks": ["198.51.100.0/24", "2001:db8::/32"],
        "expires_at": NOW + 1,
        "revoked_at": NOW + 2,
        "current": {"generation": 2, "selector": SELECTORS[1]},
        "superseded": {"generation": 1, "selector": SELECTORS[0], "until": NOW + 3},
        "revision": 9,
    }
    owners = [
        {"id": "u/1", "suspended_at": None, "revision": 1, "head": {"seq": 0, "hash": "00" * 32, "at": 0}},
        {"id": "u/1", "suspended_at": NOW, "revision": 2, "head": head},
    ]

    day = 86_400
    policy = {
        "live_tokens_per_owner": 100,
        "max_lifetime": 365 * day,
        "never_expires": False,
        "default_lifetime": 90 * day,
        "max_overlap": 7 * day,
        "default_overlap": day,
    }
    policies = [
        {"policy": policy, "head": {"seq": 0, "hash": "00" * 32, "at": 0}},
        {"policy": {**policy, "max_lifetime": None, "never_expires": True}, "head": head},
    ]

    def sealed(row, encode):
        encoded = encode(row)
        return {"row": row, "encoded": encoded.hex(), "seal": hmac.digest(key, encoded, "sha256").hex()}

    return {
        "master": base64.b64encode(MASTER).decode(),
        "tokens": [sealed(row, encode_token) for row in [plain, full]],
        "owners": [sealed(row, encode_owner) for row in owners],
        "policies": [sealed(row, encode_policy) for row in policies],
    }


def main():
    folder = pathlib.Path(__file__).parent
    files = {
        "format.json": format_vectors(),
        "digest.json": digest_vectors(),
        "chain.json": chain_vectors(),
        "seal.json": seal_vectors(),
    }
    differing = []
    for name, value in files.items():
        text = json.dumps(value, indent=2, ensure_ascii=True) + "\n"
        path = folder / name
        if sys.argv[1:] == ["--check"]:
            if not path.exists() or path.read_text() != text:
                differing.append(name)
        else:
            path.write_text(text)
    if differing:
        sys.exit(f"vectors: {', '.join(differing)} differ from what generate.py writes")


main()
