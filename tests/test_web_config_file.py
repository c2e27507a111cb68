"""The web configuration file: what is taken, every fault at once with its line, and no hash in any of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.web import CIPHERS, WebConfig
from exporter.config.web_file import Refused, read_web_config
from exporter.web.tls import build_context

HASH = "$2b$04$abcdefghijklmnopqrstuuCANARYCANARYCANARYCANARYCANARYa"
SERVED = "tls_server_config: {cert_file: server.pem, key_file: server.key"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("web")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued, other = authority.issue_cert("localhost"), authority.issue_cert("other")
    issued.cert_chain_pems[0].write_to_path(str(folder / "server.pem"))
    issued.private_key_pem.write_to_path(str(folder / "server.key"))
    other.private_key_pem.write_to_path(str(folder / "other.key"))
    (folder / "nonsense").write_text("CANARY")
    (folder / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nCANARY\n-----END CERTIFICATE-----\n")

    (folder / "encrypted.key").write_bytes(_encrypted(issued.private_key_pem.bytes()))
    return folder


def _encrypted(key: bytes) -> bytes:
    from cryptography.hazmat.primitives import serialization as s

    loaded = s.load_pem_private_key(key, None)
    return loaded.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.BestAvailableEncryption(b"CANARY"))


def read(folder: Path, text: str | bytes) -> WebConfig:
    path = folder / "web.yml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_web_config(path).config


def faults(folder: Path, text: str | bytes) -> list[str]:
    """Return what is wrong, the folder's own path taken out; also faults that need the files opened."""
    path = folder / "web.yml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    found = refusal(path)
    assert "CANARY" not in "".join(found)
    return [fault.replace(f"{folder}/", "") for fault in found]


def refusal(path: Path) -> tuple[str, ...]:
    try:
        source = read_web_config(path)
    except Refused as refused:
        return refused.faults
    tls = source.config.tls_server_config
    return source.blame(build_context(tls)[1]).faults if tls is not None else ()


def test_the_example_of_the_documentation_is_taken(folder: Path) -> None:
    page = (Path(__file__).parent.parent / "docs" / "web-config.md").read_text(encoding="utf-8")
    example = page.split("```yaml\n")[1].split("```")[0]
    for name, there in (("tls.crt", "server.pem"), ("tls.key", "server.key"), ("clients-ca.crt", "ca.pem")):
        (folder / name).write_bytes((folder / there).read_bytes())
    config = read(folder, example)
    assert config.tls_server_config is not None
    assert config.tls_server_config.client_auth_type == "RequireAndVerifyClientCert"
    assert list(config.basic_auth_users or ()) == ["prometheus"]
    assert build_context(config.tls_server_config)[1] == []


def test_paths_are_relative_to_the_file_and_hashes_are_secrets(folder: Path) -> None:
    config = read(folder, f"{SERVED}}}\nbasic_auth_users:\n  ann: {HASH}\n  bob: $2y$10${HASH[7:]}\n")
    assert config.tls_server_config is not None
    assert config.tls_server_config.cert_file == folder / "server.pem"
    assert "CANARY" not in repr(config) + str(config.model_dump())
    assert config.basic_auth_users is not None
    assert config.basic_auth_users["ann"].get_secret_value() == HASH


def test_every_key_of_the_format_that_can_be_kept_is_taken(folder: Path) -> None:
    text = f"""\
{SERVED}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem,
  client_allowed_sans: [a.example, 10.0.0.1], min_version: TLS12, max_version: TLS13,
  cipher_suites: [{", ".join(CIPHERS)}], prefer_server_cipher_suites: false, curve_preferences: [CurveP384]}}
http_server_config:
  http2: true
  headers:
    Content-Security-Policy: default-src 'self'
    X-Frame-Options: sameorigin
    X-Content-Type-Options: nosniff
    X-XSS-Protection: "0"
    Strict-Transport-Security: max-age=31536000
"""
    config = read(folder, text)
    assert config.tls_server_config is not None
    context, found = build_context(config.tls_server_config)
    assert found == []
    offered = {cipher["name"] for cipher in context.get_ciphers()}
    assert offered == {name for name in CIPHERS.values() if name} | {name for name in CIPHERS if not CIPHERS[name]}
    assert dict(config.http_server_config.headers)["X-Frame-Options"] == "sameorigin"


@pytest.mark.parametrize("curve", ["CurveP256", "CurveP384", "CurveP521", "X25519"])
def test_one_curve_can_be_chosen(folder: Path, curve: str) -> None:
    assert faults(folder, f"{SERVED}, curve_preferences: [{curve}]}}") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["web.yml: has none of the keys tls_server_config, http_server_config, basic_auth_users, and would "]),
        ("# only words\n", ["web.yml: has none of the keys"]),
        ("[]", ["web.yml: has none of the keys"]),
        ("basic_auth_users:\n", ["web.yml:1: basic_auth_users: is empty; fill it, or remove the key"]),
        ("basic_auth_users: {}", ["web.yml:1: basic_auth_users: names nobody; write `NAME: HASH`"]),
        ("tls_server_config:\n", ["web.yml:1: tls_server_config: is empty"]),
        ("tls_server_config: []", ["web.yml:1: tls_server_config: is not a mapping with some of the keys cert_file"]),
        (
            "tls_server_config: {}",
            ["web.yml:1: tls_server_config.cert_file: is missing", "web.yml:1: tls_server_config.key_file: is missing"],
        ),
        ("a: b: CANARY", ["web.yml:1:5: is not YAML"]),
        ("a: [\n*CANARY", ["web.yml:2:1: is not YAML"]),
        (b"a: \xff", ["web.yml: is not UTF-8"]),
        ("a: \0", ["web.yml: is not YAML"]),
        ("{" * 60_000, ["web.yml: is not YAML of this kind: more than 500 brackets"]),
        ("{" * 500, ["web.yml"]),
        ("x: " + "a" * 70_000, ["web.yml: is larger than 65536 bytes"]),
        ("tls_servr_config: CANARY", ["web.yml:1: tls_servr_config: unknown key; did you mean tls_server_config?"]),
        (f"{HASH}: ann", ["web.yml:1: (not shown): unknown key"]),
        ("rate_limit: {burst: 1}", ["web.yml:1: rate_limit: is not taken"]),
        (f"{SERVED}, cert_fil: CANARY}}", ["web.yml:1: tls_server_config.cert_fil: unknown key; did you mean cert_f"]),
        (
            "tls_server_config:\n  cert: CANARY\n  key: CANARY",
            [
                "web.yml:2: tls_server_config.cert: is not taken; write it to a file of its own and name that in cert",
                "web.yml:3: tls_server_config.key: is not taken; write it to a file of its own and name that in key_fi",
            ],
        ),
        (
            "tls_server_config:\n  cert_file: nowhere\n  key_file: .",
            [
                'web.yml:2: tls_server_config.cert_file: "nowhere" cannot be read: No such file',
                "web.yml:3: tls_server_config.key_file: ",
            ],
        ),
        (
            f"{SERVED}, min_version: TLS13, max_version: TLS12}}",
            ['web.yml:1: tls_server_config.max_version: "TLS12" is lower than min_version'],
        ),
        (f"{SERVED}, min_version: TLS11}}", ['web.yml:1: tls_server_config.min_version: "TLS11" is too old']),
        (f"{SERVED}, min_version: '1.3'}}", ['web.yml:1: tls_server_config.min_version: "1.3" is not one of TLS12,']),
        (f"{SERVED}, client_auth_type: Yes}}", ['web.yml:1: tls_server_config.client_auth_type: "Yes" is not one of']),
        (f"{SERVED}, client_ca_file: ca.pem}}", ['tls_server_config.client_ca_file: "ca.pem" has no effect without']),
        (f"{SERVED}, client_auth_type: VerifyClientCertIfGiven}}", ["tls_server_config.client_ca_file: is missing"]),
        (
            f"{SERVED}, client_auth_type: VerifyClientCertIfGiven, client_ca_file: ca.pem, client_allowed_sans: [a]}}",
            ["tls_server_config.client_allowed_sans: needs client_auth_type: RequireAndVerifyClientCert"],
        ),
        (f"{SERVED}, cipher_suites: [AES]}}", ['web.yml:1: tls_server_config.cipher_suites.0: "AES" is not one of']),
        (f"{SERVED}, cipher_suites: AES}}", ['tls_server_config.cipher_suites: "AES" is not a list']),
        (
            f"{SERVED}, cipher_suites: [TLS_RSA_WITH_AES_128_GCM_SHA256]}}",
            ["has no forward secrecy and is not served"],
        ),
        (f"{SERVED}, cipher_suites: [TLS_AES_128_GCM_SHA256]}}", ["cipher_suites: names no suite of TLS 1.2; write"]),
        (f"{SERVED}, curve_preferences: [CurveP256, X25519]}}", ["curve_preferences: is several; Python's ssl takes"]),
        (f"{SERVED}, prefer_server_cipher_suites: maybe}}", ['"maybe" is neither true nor false']),
        (
            "http_server_config:\n  headers:\n    Server: x\n    X-Frame-Options: allow",
            [
                'web.yml:3: http_server_config.headers.Server: "x" cannot be set; these can: Content-Security-Policy',
                'web.yml:4: http_server_config.headers.X-Frame-Options: "allow" must be deny or sameorigin',
            ],
        ),
        (
            'http_server_config: {headers: {X-XSS-Protection: "a\\r\\nb"}}',
            ["http_server_config.headers.X-XSS-Protection: "],
        ),
        ("http_server_config: {headers: [a]}", ["http_server_config.headers: is not a mapping"]),
        ("http_server_config: {headers: {X-XSS-Protection: [a]}}", ["http_server_config.headers: holds a value"]),
        ("http_server_config: {http2: 2}", ['http_server_config.http2: "2" is neither true nor false']),
        ("basic_auth_users: {ann: CANARY}", ["web.yml:1: basic_auth_users: an entry is not a bcrypt hash; write what"]),
        (f"basic_auth_users: {{'{HASH}': ann}}", ["web.yml:1: basic_auth_users: an entry is not a bcrypt hash"]),
        (
            f"basic_auth_users:\n  a: {HASH}\n  CANARY:1: {HASH}",
            ["web.yml:3: basic_auth_users: an entry has a user na"],
        ),
        (f"basic_auth_users: {{a: '{HASH[:28]}z{HASH[29:]}'}}", ["an entry is not a bcrypt hash"]),
        (f"basic_auth_users: {{a: '{HASH[:-1]}'}}", ["an entry is not a bcrypt hash"]),
        (f"basic_auth_users: {{a: '{HASH.replace('$04', '$31')}'}}", ["an entry is a bcrypt hash of a cost outside 4"]),
        (f"basic_auth_users: {{a: {HASH}, a: {HASH}}}", ["basic_auth_users: an entry is given twice, the second time"]),
        ("basic_auth_users: {a: }", ["an entry needs a value"]),
        ("basic_auth_users: {a: !CANARY b}", ["an entry has a YAML tag"]),
        ("basic_auth_users: {[a]: b}", ["basic_auth_users: has a key that is not text"]),
        ("basic_auth_users: {a: {b: {c: {d: e}}}}", ["an entry is not a single value"]),
        (
            "tls_server_config: {cert_file: server.pem, key_file: other.key}",
            ["key_file: is not the key of cert_file"],
        ),
        ("tls_server_config: {cert_file: nonsense, key_file: nonsense}", ["holds no certificate in PEM", "no key in"]),
        ("tls_server_config: {cert_file: broken.pem, key_file: server.key}", ["and key_file cannot be used: "]),
        ("tls_server_config: {cert_file: server.pem, key_file: encrypted.key}", ["is encrypted, and there is nobody"]),
        (
            f"{SERVED}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: nonsense}}",
            ["client_ca_file: holds no certificate"],
        ),
    ],
)
def test_a_fault_names_line_and_key_and_what_would_be_right_and_no_secret(
    folder: Path, text: str | bytes, expected: list[str]
) -> None:
    found = faults(folder, text)
    assert len(found) >= len(expected)
    for part in expected:
        assert any(part in fault for fault in found), f"{part!r} is not in {found}"


@pytest.mark.parametrize("kind", ["RequestClientCert", "RequireAnyClientCert", "RequireClientCert"])
def test_asking_for_a_certificate_without_verifying_it_is_refused_and_not_taken_for_something_else(
    folder: Path, kind: str
) -> None:
    (fault,) = faults(folder, f"{SERVED}, client_auth_type: {kind}}}")
    assert "would take any certificate" in fault
    assert "write RequireAndVerifyClientCert" in fault


def test_all_faults_come_at_once_in_the_order_of_the_lines(folder: Path) -> None:
    text = f"basic_auth_users:\n  a: CANARY\n{SERVED}, x: 1, min_version: 3}}\nhttp_server_config: {{http2: 7, y: 1}}\n"
    found = faults(folder, text)
    assert [fault.split(": ")[0] for fault in found] == ["web.yml:2", *["web.yml:3"] * 2, *["web.yml:4"] * 2]


def test_aliases_cannot_multiply(folder: Path) -> None:
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 60)]
    assert faults(folder, "\n".join(lines))


def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"nowhere\.yml: cannot be read: No such file"):
        read_web_config(tmp_path / "nowhere.yml")


KEYS = ["tls_server_config", "http_server_config", "basic_auth_users", "cert_file", "headers", "client_auth_type", "a"]
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just(HASH),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=3), below),
    max_leaves=8,
)


@given(TREES | st.binary(max_size=60))
def test_any_file_is_taken_or_refused_in_words(tmp_path_factory: pytest.TempPathFactory, tree: object) -> None:
    import yaml

    path = tmp_path_factory.getbasetemp() / "any.yml"
    path.write_bytes(tree if isinstance(tree, bytes) else yaml.safe_dump(tree, allow_unicode=True).encode())
    found = refusal(path)
    assert "CANARY" not in "".join(found)
    assert all(fault.isprintable() for fault in found)
