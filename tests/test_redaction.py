"""What is shown of a source and of a reason: readable where it can be, and never a secret.

A canary stands for the secret. Templates are planted with several canaries, because a random-looking one could be
caught by its looks alone and a plain word only by where it stands.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from fuzz.targets import VERSION
from hypothesis import given
from hypothesis import strategies as st

from exporter.milvus.translate import clean_reason
from exporter.redaction import SourceStyle, reasons, safe_reason, safe_source
from exporter.redaction.blocks import hide_blocks
from exporter.redaction.random_runs import mask_random

TEXTS = yaml.safe_load((Path(__file__).parent / "data" / "reasons.yaml").read_text())
CANARIES = ("hunter2canary", "canaryPW", "CANARY", "Zx9/q+CANARY7Kp==", "canary.with-dots_and~tilde")

SOURCE_SECRETS = (
    "s3://user:{}@bucket/path",
    "s3://{}@bucket/path",
    "s3://{}:{}@bucket/path",
    "s3://user:a@{}@bucket/path",
    "s3://user:{}@b@bucket/path",
    "s3://user:{}%40bucket/path",
    "s3://user:{}%2540bucket/path",
    "s3%3A%2F%2Fuser%3A{}%40bucket%2Fpath",
    "s3://user%3Aa/{}@bucket/path",
    "s3://user:pa/{}@bucket/path",
    "s3://user:{}/ss@bucket/path",
    "s3://user:pa/{}/x/y@bucket/path",
    "s3://user:pa?{}@bucket/path",
    "s3://user:pa#{}@bucket/path",
    "s3://user:pa?x/{}@bucket/path",
    "s3://user:pa@{}/x@bucket/path",
    "s3://user:pa ss {}@bucket/path",
    "s3://user:pa\n{}@bucket/path",
    "s3://user:pa\0{}@bucket/path",
    "s3://user:pa://{}@bucket/path",
    "s3://a:b://{}@bucket",
    "s3://user:{}",
    "s3://user:{}/bucket",
    "s3://user:{}@",
    "s3:\\\\user:{}@bucket\\path",
    "s3:/user:{}@bucket/path",
    "s3:///user:{}@bucket/path",
    "//user:{}@bucket/path",
    "user:{}@bucket/path",
    "user:pa/{}@bucket/path",
    "user:{}@s3://bucket/path",
    "user@s3://other:{}/bucket/path",
    "s3://bucket/user:{}@host/path",
    "s3://bucket/s3://user:{}@host/path",
    "s3://bucket/path?X-Amz-Signature={}",
    "s3://bucket/path?a=b@{}",
    "s3://bucket?{}@x",
    "s3://{}?x@bucket/path",
    "user:{}/pa?x@bucket/path",
    "s3://tok@{}/x@bucket/path",
    "s3://user%3A{}/a@bucket/path",
    "s3://user:pa {} ss@bucket/path",
    ":/PASSWD:{}",
    "s3://bucket/path#{}",
    "s3://bucket/path#a@{}?x",
    "s3://bucket/path%3Fsig={}",
    "s3://bucket/path%253Fsig%253D{}",
    "s3://bucket/path%23{}",
    "s3://bucket/path&X-Amz-Signature={}",
    "s3://bucket/path;AccountKey={}",
    "s3://bucket/access_key_value={}/x",
    "minio://user:{}@10.0.0.5:9000/bucket",
    "minio://user:{}@[2001:db8::1]:9000/bucket",
    "minio://10.0.0.5:9000/{}@bucket/x",
    "bucket/path?token={}",
    "  s3://user:{}@bucket  ",
    "1s3://user:{}@bucket",
    "s3://b/ok\ns3://user:{}@bucket",
    "https://acc.blob.core.windows.net/c/p?sv=2022&sig={}",
    "?{}",
    "#{}",
    "{}@",
)

# Where the words stand free, a canary must not be a second word of the value; each template says what is the value.
REASON_SECRETS = (
    *(f"no files found in external source: {template}" for template in SOURCE_SECRETS if "  " not in template),
    'cannot resolve endpoint for "s3://user:{}@bucket/p": denied',
    "cannot resolve 's3://user:p\"{}@bucket/p'",
    "Get (https://minio:9000/b/?X-Amz-Credential={}%2F20260901&X-Amz-Signature={}): denied",
    "sources s3://a/b,s3://user:{}@c/d",
    'spec {{"extfs": {{"access_key_value": "{}"}}}} is odd',
    'spec {{"extfs": {{"access_key_value": "{}',
    'spec {{"a": {{"b": "}}", "c": "{}"}}, "d": [1, {{"e": "{}"}}]}} end',
    'spec {{"a": "x\\"}} {}"}} end',
    'spec {{"a": "}} {}',
    'spec {{"a": "x\\"}} {}',
    "Bearer FFI operation failed:{}",
    "password FFI operation failed: = {}",
    "spec {{'access_key_value': '{}', 'n': None}} end",
    "spec {{'a': '}} {}",
    'spec "{{\\"access_key_value\\":\\"{}\\"}}" end',
    'spec "{{\\\\\\"access_key_value\\\\\\":\\\\\\"{}\\\\\\"}}" end',
    'one {{"a": 1}} two {{"b": "{}"}} three',
    'cut off: "access_key_value": "{}", "region": "eu"}} end',
    'cut off: {}", "region": "eu"}} end',
    "&{{Key:access_key_value Value:{}}} end",
    "extfs map[access_key_id:abc access_key_value:{} region:eu]",
    'key:"access_key_value" value:"{}"',
    '("access_key_value", "{}")',
    '["password", "{}"]',
    "password={}",
    "password: {}",
    "password : {}",
    "PASSWORD={}",
    "Passwd='{}' rest",
    'password="{} with blanks" rest',
    'password="a\\"{}" rest',
    "password='a''{}' rest",
    'password="cut off {}',
    'password=\\"{}\\" rest',
    "password=>{}",
    "password := {}",
    "password%3D{}",
    "password\\u003d{}",
    "password: |\n  {}",
    "password is {}1!",
    "password '{}'",
    "db_password_for_etl={}",
    "--password {} --verbose",
    "-secret-key {}",
    "secret={}&x=y",
    "client_secret: {}",
    "secret access key: {}",
    "secret key = {}",
    "api-key={}",
    "token={}",
    "session_token:{}",
    "access_key_id={} access_key_value={}",
    "accessKeyId: {}",
    "fs.access_key_value={}",
    "ak={} sk={}",
    "AccountName=x;AccountKey={};EndpointSuffix=core.windows.net",
    "SharedAccessSignature=sv=2022&sig={}",
    "sig={}",
    "X-Amz-Security-Token={}",
    "x-amz-signature: {}",
    "Authorization: Bearer {}",
    "authorization=Basic {}",
    'Authorization: "Bearer {}"',
    "Authorization: AWS4-HMAC-SHA256 Credential={}/20260901/eu/s3/aws4_request, SignedHeaders=host, Signature={}",
    "Authorization: AWS AKIAIOSFODNN7EXAMPLE:{}",
    "header Bearer {} refused",
    "AWS4-HMAC-SHA256 Credential={}/x, Signature={}",
    "<SecretAccessKey>{}</SecretAccessKey>",
    "<password> {} </password>",
    "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\nrest",
    "-----BEGIN RSA PRIVATE KEY-----\\n{}",
    "pass\u200bword={}",
    "pass\0word={}",
    "svc-{}@project.iam.gserviceaccount.com was refused",
)

RANDOM_SECRETS = (
    "AKIAIOSFODNN7EXAMPLE",
    "ASIAY34FZKBOKMUTVV7A",
    "LTAI5tQnKxJqzPzT9zzzzzzz",
    "AIzaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "eyJhbGciOiJIUzI1NiJ9",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "d41d8cd98f00b204e9800998ecf8427e",
    "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
    "k7Qm2Zp9Xr4Tt6Vb1Nc8Wd3Ls5Hf0Jg",
    "Mz8fQ2-Lk9sT_4xVw7Rb1Yc6Hd3Nj5Pg0",
    "MZXW6YTBOI2HGZLDOJSXIX3LMV4TGN2X",
    "deadbeefcafebabefeedfacedeadbeef",
)

ORDINARY = (
    "s3://lake-prod-eu/warehouse/db.table/date=2026-09-01/",
    "part-00000-8f1b2c3d-1111-2222-3333-444455556666-c000.snappy.parquet",
    "00000-0-8F1B2C3D-1A2B-4C5D-8E9F-444455556666.metadata.json",
    "job 458001112223334445 references missing task 458001112223334446",
    "milvus-datanode-7d9f8b6c5d-x2x9k",
    "loon_exttable_get_file_info",
    "ExternalCollectionRefreshSnapshotReader2024Manifest",
    "snap-1234567890123456789-1.avro",
    "dial tcp 10.0.0.5:9000: connect: connection refused",
    "dial tcp [2001:db8::1]:9000: connect: connection refused",
    "Column 'customer_lifetime_value_2026_eur' not found in schema",
    "AWS Error ACCESS_DENIED during HeadObject operation: No response body.",
    "signature mismatch, the token has expired",
    "ExpiredToken: The provided token has expired.",
    "invalid credentials: NoSuchBucket",
    "Basic authentication is not supported",
    "minio://10.0.0.5:9000/bucket/path: access denied",
    "s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/docs/path",
)


# Everything behind the key goes, up to the end of the clause.
CLAUSES = (
    ("auth=('svc', 'Zebra.Quilt77')", "auth=***"),
    ("password: correct horse Zebra.Quilt77", "password: ***"),
    ("credentials: [AKIDsvc, Zebra.Quilt77]", "credentials: ***"),
    ("secret: |\n  Zebra.Quilt77\n  more of it\nregion: eu", "secret: | *** region: eu"),
    ("credentials:\n  - svc\n  - Zebra.Quilt77\nregion: eu", "credentials: *** region: eu"),
    ("password='it''s Zebra.Quilt77'", "password=***"),
    ("password - Zebra.Quilt77", "password - ***"),
    ("password for user etl: Zebra.Quilt77", "password for user etl: ***"),
    ("password (Zebra.Quilt77)", "password (***)"),
    ("| password | Zebra.Quilt77 |", "| password | ***"),
    ("(fs.s3a.secret.key,Zebra.Quilt77)", "(fs.s3a.secret.key,***)"),
    ("cannot log in (password Zebra.Quilt77): denied", "cannot log in (password ***): denied"),
    ("password is Zebra.Quilt77", "password is ***"),
    ("password is zebra", "password is ***"),
    ("password=correct horse Zebra.Quilt77 user=etl", "password=*** user=etl"),
    ('"password": "Zebra.Quilt77", "region": "eu"', '"password": ***, "region": "eu"'),
    ("Ocp-Apim-Subscription-Key: Zebra.Quilt77", "Ocp-Apim-Subscription-Key: ***"),
    ("hmac_key=Zebra.Quilt77 fernet_key=Zebra.Quilt77", "hmac_key=*** fernet_key=***"),
    ("license_key: Zebra.Quilt77", "license_key: ***"),
    ("connection_string=Server=db;Uid=etl;Other=Zebra.Quilt77", "connection_string=***"),
    ("client_assertion=Zebra.Quilt77&scope=x", "client_assertion=***&scope=x"),
    ("GET /orders;jsessionid=Zebra.Quilt77", "GET /orders;jsessionid=***"),
    ("\x1b[1mpassword\x1b[0m: \x1b[31mZebra.Quilt77\x1b[0m", "password: ***"),
)
BRANDED = (
    "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",
    "glpat-ZebraQuiltZebraQuilt",
    "github_pat_ZebraQuiltZebraQuiltZebraQuilt",
    "dapideadbeefdeadbeefdeadbeefdeadbeef",
    "sk-proj-ZebraQuiltZebraQuilt",
    "hvs.ZebraQuiltZebraQuiltZebraQuilt",
)
# What only looks like a secret: the key is another word, or a name of the schema, or a sentence follows it.
NO_SECRETS = (
    "analyzer tokenizer: jieba not found",
    "max_tokens: 8192 exceeded",
    "field password_hash: type mismatch",
    "column 'session_token' not found in external schema",
    "format {parquet} unknown; expected one of {parquet, lance}",
    "s3://lake/events/customer_key=1234/x",
    "s3://lake/mail/inbox@2026/",
)


def planted(template: str, canary: str) -> str:
    return template.format(*[canary] * template.count("{}"))


def leaks(shown: str, canary: str) -> bool:
    """Whether the canary, or a recognisable half of it, can be read."""
    return canary in shown or "canary" in shown.lower()


def test_there_are_more_than_sixty_ugly_templates() -> None:
    assert len(set(REASON_SECRETS)) >= 120
    assert len(set(SOURCE_SECRETS)) >= 50


@pytest.mark.parametrize("canary", CANARIES)
@pytest.mark.parametrize("template", SOURCE_SECRETS)
def test_no_source_shows_a_planted_secret(template: str, canary: str) -> None:
    for style in ("path", "bucket", "none"):
        assert not leaks(safe_source(planted(template, canary), style), canary)


@pytest.mark.parametrize("canary", CANARIES)
@pytest.mark.parametrize("template", REASON_SECRETS)
def test_no_reason_shows_a_planted_secret(template: str, canary: str) -> None:
    for around in ("{}", "worker failure 1/1: {}: access denied", "FFI operation failed: {}\nBacktrace:\n 0: main"):
        assert not leaks(clean_reason(around.format(planted(template, canary))), canary)


@pytest.mark.parametrize("secret", RANDOM_SECRETS)
@pytest.mark.parametrize("around", ["{}", "got {} instead", "bucket/{}/x", "({})", "'{}'", "x={}"])
def test_a_long_random_token_is_masked_wherever_it_stands(around: str, secret: str) -> None:
    if "/" in secret:  # cannot be told from the slashes of a path around it
        around = around.replace("/", ":")
    shown = safe_reason(around.format(secret))
    assert secret[:12] not in shown
    assert secret[-12:] not in shown


@pytest.mark.parametrize(("text", "safe"), CLAUSES)
def test_a_value_goes_up_to_the_end_of_its_clause(text: str, safe: str) -> None:
    assert safe_reason(text) == safe
    assert safe_reason(safe) == safe


@pytest.mark.parametrize("token", BRANDED)
def test_a_token_of_a_known_brand_is_masked_without_a_digit_and_in_a_source(token: str) -> None:
    assert safe_reason(f"{token} was revoked") == "*** was revoked"
    assert safe_source(f"s3://lake/{token}/orders") == "s3://lake/***/orders"


@pytest.mark.parametrize("text", NO_SECRETS)
def test_a_text_without_a_secret_is_left_alone(text: str) -> None:
    assert safe_reason(text) == text
    if "://" in text:
        assert safe_source(text) == text


@pytest.mark.parametrize("text", ORDINARY)
def test_an_ordinary_text_stays_as_it_is(text: str) -> None:
    assert safe_reason(text) == text


@pytest.mark.parametrize("case", [case for case in TEXTS if "safe" in case], ids=lambda case: case["text"][:40])
def test_each_known_reason_reads_as_promised(case: dict[str, str]) -> None:
    assert clean_reason(case["text"]) == case["safe"]


@pytest.mark.parametrize(
    ("raw", "path", "bucket"),
    [
        ("s3://bucket/key/", "s3://bucket/key/", "s3://bucket"),
        ("S3://Bucket/Key", "S3://Bucket/Key", "S3://Bucket"),
        (
            "s3://s3.us-west-2.amazonaws.com/b/p/",
            "s3://s3.us-west-2.amazonaws.com/b/p/",
            "s3://s3.us-west-2.amazonaws.com",
        ),
        ("minio://10.0.0.5:9000/b/p", "minio://10.0.0.5:9000/b/p", "minio://10.0.0.5:9000"),
        ("minio://[2001:db8::1]:9000/b", "minio://[2001:db8::1]:9000/b", "minio://[2001:db8::1]:9000"),
        ("volume://v/p", "volume://v/p", "volume://v"),
        ("s3://u:p@bucket/key?x=1#y", "s3://bucket/key", "s3://bucket"),
        ("s3://u:p@10.0.0.5:9000/b", "s3://10.0.0.5:9000/b", "s3://10.0.0.5:9000"),
        ("external-demo/", "external-demo/", "external-demo"),
        ("external-demo/a/b.parquet", "external-demo/a/b.parquet", "external-demo"),
        ("/abs/path", "/abs/path", "/abs"),
        ("s3:///key", "s3:///key", "s3:///key"),
        ("s3:\\\\bucket\\key", "s3://bucket/key", "s3://bucket"),
        ("s3://bucket/user@example.com/x", "s3://bucket/***/example.com/x", "s3://bucket"),
        ("s3://u:p/q@bucket/x", "s3://***/bucket/x", "s3://***"),
        ("s3://bucket/a b\tc\r\nd", "s3://bucket/a b c d", "s3://bucket"),
        ("s3://bücket/ключ/鍵", "s3://bücket/ключ/鍵", "s3://bücket"),
        ("s3://b/\ud800x\u202e", "s3://b/x", "s3://b"),
        (
            "s3://arn:aws:s3:eu-west-1:1:accesspoint/docs",
            "s3://arn:aws:s3:eu-west-1:1:accesspoint/docs",
            "s3://arn:aws:s3:eu-west-1:1:accesspoint",
        ),
        ("lake/ts=2026-09-01T10:00:00/", "lake/ts=2026-09-01T10:00:00/", "lake"),
        ("minio://2001:db8::1/b", "minio://2001:db8::1/b", "minio://2001:db8::1"),
        ("user:pw@s3://bucket/key", "s3://bucket/key", "s3://bucket"),
        ("s3://bucket/key?by=a@b", "s3://bucket/key", "s3://bucket"),
        ("s3://u:p@bucket/key?by=a@b", "s3://bucket/key", "s3://bucket"),
        ("://", "://", "://"),
        ("?", "", ""),
        ("", "", ""),
        ("  \n ", "", ""),
    ],
)
def test_a_source_shows_what_it_may(raw: str, path: str, bucket: str) -> None:
    assert safe_source(raw) == path
    assert safe_source(raw, "bucket") == bucket
    assert safe_source(raw, "none") == ""


def test_a_long_source_is_cut_on_a_character_and_ends_in_a_hash() -> None:
    shown = safe_source("s3://bucket/" + "鍵" * 200)
    assert len(shown.encode()) <= 256
    assert re.fullmatch(r"s3://bucket/鍵+~[0-9a-f]{8}", shown)


def test_two_long_sources_with_the_same_head_stay_two() -> None:
    head = "s3://bucket/" + "x" * 300
    assert safe_source(head + "/a") != safe_source(head + "/b")


def test_the_hash_does_not_depend_on_the_secret() -> None:
    tail = "bucket/" + "x" * 300
    assert (
        safe_source(f"s3://u:one@{tail}?sig=1")
        == safe_source(f"s3://u:two@{tail}?sig=2")
        == safe_source(f"s3://{tail}")
    )


def test_user_info_that_ends_beyond_the_window_is_still_user_info() -> None:
    assert "canary" not in safe_source("s3://canary" + "x" * 10_000 + "@bucket/p")
    assert "canary" not in safe_source("s3://canary" + "x" * 10_000 + "%40bucket/p")


def test_a_long_reason_keeps_its_head_and_the_cause_at_its_tail() -> None:
    shown = safe_reason("reading the source " + "failed again and " * 40 + "then the bucket was gone")
    assert len(shown) <= 200
    assert shown.startswith("reading the source failed again and ")
    assert " … " in shown
    assert shown.endswith("then the bucket was gone")


def test_a_reason_of_two_hundred_characters_is_whole() -> None:
    text = "no word " * 24 + "and more"
    assert safe_reason(text) == text
    assert "…" in safe_reason(text + "!")


def test_a_very_long_word_is_cut_hard() -> None:
    shown = safe_reason("x-" * 500)
    assert len(shown) == 200
    assert shown.startswith("x-" * 30 + " … ")


def test_a_backtrace_is_dropped_whatever_its_length() -> None:
    assert safe_reason("bad encoding\nBacktrace:\n" + "  0: frame\n" * 50_000) == "bad encoding"


def test_a_text_that_is_all_backtrace_is_kept() -> None:
    assert safe_reason("Backtrace: of what") == "Backtrace: of what"


def test_a_reason_of_a_megabyte_keeps_its_cause() -> None:
    shown = clean_reason("explore external files failed: reading " + "y z " * 250_000 + ": access denied")
    assert shown.startswith("reading y z")
    assert shown.endswith(": access denied")


@pytest.mark.parametrize(
    "opening",
    [
        '{"a": "',
        'password="',
        "token: '",
        "map[secret:",
        "-----BEGIN PRIVATE KEY-----\n",
        '{"a": {"b": 1}, "c": "',
        "} { { } ",
    ],
)
def test_a_secret_that_reaches_over_the_cut_does_not_surface_in_the_tail(opening: str) -> None:
    for before in ("failed: ", "failed again: " * 300):
        assert not leaks(safe_reason(before + opening + "canary and " * 5_000 + "canary"), "canary")


@pytest.mark.parametrize("gap", range(4060, 4120))
def test_a_key_just_before_the_cut_still_guards_its_value(gap: int) -> None:
    """The tail begins with whole words, and the first of them may have lost the key that tells what they are."""
    raw = "ab " * 5_000 + "Authorization: Bearer hunter2canary" + " ok" * (gap // 3)
    assert not leaks(safe_reason(raw[: len(raw) - gap % 3]), "canary")


def test_patterns_only_ever_see_a_bounded_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linear by design: however long the text, what is searched for secrets is at most 8,192 characters."""
    seen: list[int] = []
    monkeypatch.setattr(reasons, "hide_blocks", lambda text: seen.append(len(text)) or text)
    monkeypatch.setattr(reasons, "hide_values", lambda text: seen.append(len(text)) or text)
    for unit in ("{", "@", "a", "a ", "://", "'\"", "{ ", "password= "):
        safe_reason(unit * (1_000_000 // len(unit)))
        safe_source(unit * (1_000_000 // len(unit)))
    assert seen
    assert max(seen) <= reasons._WHOLE


def test_a_block_goes_from_the_first_brace_to_the_last() -> None:
    assert hide_blocks('a {"b": 1} c {"d": {}} e') == "a *** e"


def test_a_block_that_does_not_end_goes_to_the_end() -> None:
    assert hide_blocks('a {"b": {"c": 1} d') == "a ***"


def test_letters_without_digits_are_names_and_no_tokens() -> None:
    text = "TheQuickBrownFoxJumpsOverTheLazyDog/and_so_on_and_so_forth"
    assert mask_random(text) == text


PIECES = (
    *"@?#/\\ \n\"'{}[]:=",
    *("s3://", "://", "%40", "%3F", "bucket", "9000", "a", "é", "…", "***", "\ud800", "\u200b", " is "),
    *("password", "token", "secret", "Bearer ", "-----BEGIN ", "map[", "AKIAIOSFODNN7EXAMPLE"),
    *("worker failure 1/2: ", "FFI operation failed: ", "loon FFI transient error", "k7Qm2Zp9Xr4Tt6Vb1Nc8Wd3Ls5Hf0Jg"),
)
ANY_TEXT = st.text(max_size=400) | st.lists(st.sampled_from(PIECES), max_size=60).map("".join)


@given(ANY_TEXT, st.sampled_from(["path", "bucket"]))
def test_any_source_becomes_a_bounded_line_without_the_parts_that_hide_secrets(raw: str, style: SourceStyle) -> None:
    shown = safe_source(raw, style)
    assert len(shown.encode()) <= 256
    assert shown.isprintable()
    assert not set("@?#\\") & set(VERSION.sub("", shown))


@given(ANY_TEXT)
def test_any_reason_becomes_one_line_of_bounded_length(raw: str) -> None:
    shown = safe_reason(raw)
    assert len(shown) <= 200
    assert shown.isprintable()
    assert "@" not in VERSION.sub("", shown)
    shown.encode()


@given(ANY_TEXT, st.sampled_from(["path", "bucket"]))
def test_a_safe_source_is_left_alone(raw: str, style: SourceStyle) -> None:
    once = safe_source(raw, style)
    assert safe_source(once, style) == once


@given(ANY_TEXT)
def test_a_safe_reason_is_left_alone(raw: str) -> None:
    once = safe_reason(raw)
    assert safe_reason(once) == once


WORDS = st.lists(
    st.sampled_from(["reading", "bucket", "failed:", "s3://b/p", "(x)", "403", "again,"]), max_size=30
).map(" ".join)


@given(WORDS, st.sampled_from(REASON_SECRETS), WORDS, st.sampled_from(CANARIES))
def test_no_canary_is_seen_whatever_stands_around_it(before: str, template: str, after: str, canary: str) -> None:
    assert not leaks(clean_reason(f"{before} {planted(template, canary)} {after}"), canary)


@given(st.sampled_from(SOURCE_SECRETS), st.sampled_from(CANARIES), st.sampled_from(["", "/x", "x" * 300, "/é" * 2100]))
def test_no_canary_is_seen_in_a_source_of_any_length(template: str, canary: str, after: str) -> None:
    assert not leaks(safe_source(planted(template, canary) + after), canary)
