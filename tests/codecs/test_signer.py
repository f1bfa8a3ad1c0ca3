"""Only who holds a key can write what a signed cache reads."""

import pytest

from greencache.codecs import Codec, Signer
from greencache.errors import ConfigurationError, DecodeError

OLD, NEW = b"the old secret, 32 bytes long...", b"the new secret, 32 bytes long..."


def codecs(clock, *signers):
    """Return a codec for each signer; None signs nothing."""
    return [Codec(signer=signer, clock=clock) for signer in signers]


@pytest.mark.parametrize("keys", [[OLD, NEW], {"old": OLD, "new": NEW}])
def test_keys_rotate_without_a_miss(keys, clock, entry):
    """The first key signs, all verify, and the order is free in between."""
    names = list(keys) if isinstance(keys, dict) else None
    reverse = {name: keys[name] for name in reversed(names)} if names else keys[::-1]
    old, new = codecs(clock, Signer(keys), Signer(reverse))
    assert old.decode("k", new.encode("k", entry)).value == entry.value
    assert new.decode("k", old.encode("k", entry)).value == entry.value


@pytest.mark.parametrize(
    ("writer", "reader"),
    [
        (None, Signer([OLD])),
        (Signer([OLD]), None),
        (Signer([OLD]), Signer([NEW])),
        (Signer({"a": OLD}), Signer({"a": NEW})),
        (Signer({"a": OLD}), Signer({"b": OLD})),
    ],
)
def test_what_cannot_be_verified_is_refused(writer, reader, clock, entry):
    """No signature, no signer, another key, another key under the same id, the same key under another id."""
    writing, reading = codecs(clock, writer, reader)
    with pytest.raises(DecodeError) as caught:
        reading.decode("k", writing.encode("k", entry))
    assert caught.value.reason == "signature"


def test_the_reason_says_what_is_missing(clock, entry):
    """So that a half-done rollout is told from an attack."""
    bare, signed = codecs(clock, None, Signer([OLD]))
    with pytest.raises(DecodeError, match="not signed"):
        signed.decode("k", bare.encode("k", entry))
    with pytest.raises(DecodeError, match="no signer"):
        bare.decode("k", signed.encode("k", entry))


def test_the_signature_covers_the_id_of_its_key(clock, entry):
    """Two ids of one secret do not stand for each other."""
    codec = Codec(signer=Signer({"one": OLD, "two": OLD}), clock=clock)
    data = codec.encode("k", entry)
    assert data[-36:-32] == b"one\x03"
    with pytest.raises(DecodeError):
        codec.decode("k", data[:-36] + b"two\x03" + data[-32:])


def test_the_secret_is_used_for_this_purpose_only():
    """Another program that signs with the same secret does not produce our signatures."""
    import hmac

    body = b"body"
    signed = Signer({"a": OLD}).sign(body)
    assert signed[-32:] != hmac.digest(OLD, signed[:-32], "sha256")


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ([], "at least one"),
        ({}, "at least one"),
        ([b"short"], "16 bytes, got 5"),
        ({"a": b"short"}, "16 bytes, got 5"),
        (["text that is long enough to be a key"], "must be bytes, got str"),
        ({"a": "text that is long enough to be a key"}, "must be bytes, got str"),
        ({"": OLD}, "key id"),
        ({"x" * 256: OLD}, "key id"),
        ({1: OLD}, "key id"),
        (OLD, "in a list"),
        ("text", "in a list"),
    ],
)
def test_keys_that_cannot_work_are_refused_when_the_signer_is_built(keys, complaint):
    """With what was expected and what came, and never with the key."""
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        Signer(keys)
    assert "short" not in str(caught.value)
    assert "long enough" not in str(caught.value)


def test_no_secret_is_shown():
    """Neither by repr nor by the ids that are made from the secrets."""
    shown = repr(Signer([OLD, NEW])) + repr(Signer({"2026": OLD}))
    assert "2026" in shown
    assert "secret" not in shown
    assert OLD.hex()[:8] not in shown


def test_an_entry_too_short_to_be_signed_is_refused():
    """Also where the length of the id points in front of the beginning."""
    for data in (b"", b"x" * 32, b"\xff" + bytes(32), b"ab\x03" + bytes(32)):
        with pytest.raises(DecodeError):
            Signer([OLD]).verify(data)
