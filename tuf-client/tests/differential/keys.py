# Keys and signatures that come out the same for the same seed, so that a case can be made again byte for
# byte. Nothing here is secret, and nothing here may be used to sign what anybody should trust.
import functools
import hashlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.signer import SSlibKey

# How far the first prime lies above the number that a label expands to: found once, because a search of
# 1024 bits takes seconds. `prime_offset` finds others.
PRIME_OFFSETS = {
    "hallmark differential rsa 0 p": 308,
    "hallmark differential rsa 0 q": 354,
    "hallmark differential rsa 1 p": 118,
    "hallmark differential rsa 1 q": 276,
    "hallmark differential rsa 2 p": 1356,
    "hallmark differential rsa 2 q": 364,
    "hallmark differential rsa1024 0 p": 200,
    "hallmark differential rsa1024 0 q": 402,
}
E = 65537
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def expand(label, length):
    return hashlib.shake_256(label.encode()).digest(length)


def prime_base(label, bits):
    number = int.from_bytes(expand(label, bits // 8), "big")
    return number | (3 << (bits - 2)) | 1


def prime_offset(label, bits):
    """The offset for PRIME_OFFSETS, by Fermat's test: a rare liar would show as a bad signature at once."""
    base, offset = prime_base(label, bits), 0
    while pow(2, base + offset - 1, base + offset) != 1 or (base + offset - 1) % E == 0:
        offset += 2
    return offset


class Signer:
    """One key pair. `key` is the public half as python-tuf holds it."""

    def __init__(self, kind, number):
        self.kind, self.number = kind, number
        self.private = private_key(kind, number)
        scheme = {"rsa512": "rsassa-pss-sha512"}.get(kind)
        self.key = SSlibKey.from_crypto(self.private.public_key(), scheme=scheme)

    def sign(self, message):
        return self.sign_as(self.key.scheme, message)

    def sign_as(self, scheme, message, salt=None):
        if scheme == "ed25519":
            return self.private.sign(message)
        digest = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512, "521": hashes.SHA512}
        algorithm = digest[scheme[-3:]]()
        if scheme.startswith("ecdsa"):
            return self.private.sign(message, ec.ECDSA(algorithm, deterministic_signing=True))
        if "pkcs1v15" in scheme:
            return self.private.sign(message, padding.PKCS1v15(), algorithm)
        return pss(self.private, algorithm.name, message, salt)

    def point_hex(self):
        return self.private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint).hex()

    def pkcs1_pem(self):
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode()


@functools.cache
def signer(kind, number):
    return Signer(kind, number)


def private_key(kind, number):
    label = f"hallmark differential {kind} {number}"
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.from_private_bytes(expand(label, 32))
    curves = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}
    if kind in curves:
        # Far below every order, and far above what could be guessed to be zero.
        return ec.derive_private_key(int.from_bytes(expand(label, 30), "big"), curves[kind])
    bits = {"rsa": 1024, "rsa512": 1024, "rsa1024": 512}[kind]
    # The same primes for both schemes: one key under two schemes is one of the cases.
    label = label.replace("rsa512", "rsa")
    p, q = (prime_base(f"{label} {half}", bits) + PRIME_OFFSETS[f"{label} {half}"] for half in "pq")
    d = pow(E, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(E, p * q)
    numbers = rsa.RSAPrivateNumbers(
        p, q, d, rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q), public
    )
    return numbers.private_key()


def mgf1(name, seed, length):
    blocks = b""
    for counter in range(length // hashlib.new(name).digest_size + 1):
        blocks += hashlib.new(name, seed + counter.to_bytes(4, "big")).digest()
    return blocks[:length]


def pss(private, name, message, salt_length):
    """RFC 8017, 9.1.1, with a salt taken from the message, because a random one can't be made again."""
    size = hashlib.new(name).digest_size
    salt = hashlib.shake_256(b"salt" + message).digest(size if salt_length is None else salt_length)
    numbers = private.private_numbers()
    modulus = numbers.public_numbers.n
    length = (modulus.bit_length() - 1 + 7) // 8
    inner = hashlib.new(name, bytes(8) + hashlib.new(name, message).digest() + salt).digest()
    block = bytes(length - len(salt) - size - 2) + b"\x01" + salt
    masked = bytes(a ^ b for a, b in zip(block, mgf1(name, inner, len(block))))
    unused = 8 * length - (modulus.bit_length() - 1)
    encoded = bytes([masked[0] & (0xFF >> unused)]) + masked[1:] + inner + b"\xbc"
    number = int.from_bytes(encoded, "big")
    m1 = pow(number % numbers.p, numbers.dmp1, numbers.p)
    m2 = pow(number % numbers.q, numbers.dmq1, numbers.q)
    signed = m2 + numbers.q * (numbers.iqmp * (m1 - m2) % numbers.p)
    return signed.to_bytes((modulus.bit_length() + 7) // 8, "big")
