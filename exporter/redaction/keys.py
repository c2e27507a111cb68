"""Which words announce a secret, and which only look as if they did.

A key is judged by its whole name: ``fs.s3a.secret.key`` announces a secret; ``tokenizer``, ``max_tokens``,
``auth_token_file_path`` and ``InvalidToken`` do not.
"""

from __future__ import annotations

import re
from typing import Final

# An underscore stands for any joint: secret_key, secretKey, secret-key, secret.key, secret key.
KEY_WORDS: Final = (
    *("password", "passwd", "pass_phrase", "passcode", "pwd", "secret", "token", "credential", "signature"),
    *("passwort", "kennwort", "密码", "密钥", "口令"),
    *("bind_pw", "root_pw", "user_pw", "admin_pw", "db_pw"),
    *("authorization", "cookie", "bearer", "jsessionid", "phpsessid", "client_assertion"),
    *("access_key", "api_key", "app_key", "application_key", "account_key", "private_key", "priv_key", "shared_key"),
    *("storage_key", "master_key", "root_key", "admin_key", "session_key", "signing_key", "client_key", "cert_key"),
    *("auth_key", "authentication_key", "privacy_key", "encryption_key", "decryption_key", "kms_key", "sse_key"),
    *("encryption_customer_key", "sse_customer_key", "sse_c_key", "hmac_key", "fernet_key", "license_key"),
    *("subscription_key", "policy_key", "deploy_key", "ssh_key", "functions_key", "consumer_key", "gitlab_session"),
    *("identified_by", "access_id", "external_id", "ssl_ca_cert", "service_account_json", "community_string"),
    *("connection_string", "connect_string", "conn_str"),
)
# These are too short to count inside a longer word.
SHORT_KEY_WORDS: Final = ("sig", "sas", "pass", "pw", "ak", "sk", "auth", "creds", "cred", "jwt")

_ANY_WORD: Final = "|".join(word.replace("_", "[ _.-]?") for word in KEY_WORDS)
KEY: Final = re.compile(
    rf"""(?:{_ANY_WORD}|(?:(?<![A-Za-z0-9])(?:{"|".join(SHORT_KEY_WORDS)})|(?-i:(?<=[a-z])Pass))(?![A-Za-z0-9]))
    (?:[ _.-]?(?:access|key|id|value|string|token)){{0,3}}+
    (?:[\w-]|[.$](?=\w)){{0,60}}+""",
    re.IGNORECASE | re.VERBOSE,
)
# For case-folded text: without regard to case the search would take nine times as long.
_STEM: Final = re.compile(
    "pass|pwd|secret|token|key|cred|sig|auth|cookie|bearer|sessid|sessionid|gitlab|assertion|identified|kennwort|密|口令"
    "|access[ _.-]?id|external[ _.-]?id|ca[ _.-]?cert|account[ _.-]?json|community[ _.-]?str"
    "|conn(?:ection|ect)?[ _.-]?str|ak(?![a-z0-9])|sk(?![a-z0-9])|sas(?![a-z0-9])|jwt|pw(?![a-z0-9])"
    "|basic|digest|negotiate|aws4|-user|-[up] "
)

# What the key holds is not the secret itself, but something about it.
ABOUT_A_SECRET: Final = re.compile(
    r"""tokeniz | (?<![A-Za-z])(?:max|min|num|n|total|prompt|completion|input|output|context|new)[ _.-]?tokens?\Z
    | (?:url|uri|endpoint|type|count|limit|size|length|name|file|path|dir|providers?|policy|ttl|expiry|expiration
        |expires|(?:expires|valid)[_-]?(?:in|at|on|until)|mode|format|version|algorithm|manager|column|field|class
        |bucket|weight|embeddings?|enabled|required|timeout|duration|seconds|authenticator|handler|module|plugin|mechanism|level|status)\Z""",
    re.IGNORECASE | re.VERBOSE,
)
# Names of errors: InvalidToken, EXPIRED_TOKEN, NoCredentialsError, SignatureDoesNotMatch.
ERROR_NAME: Final = re.compile(
    r"""(?:\A|[.:$])(?:Invalid|Expired|Missing|Unknown|No|Malformed|Incomplete|Unsupported|Revoked)(?=[A-Z])
    | (?:\A|[.:$])(?:INVALID|EXPIRED|MISSING|UNKNOWN|NO|UNSUPPORTED|REVOKED|invalid|expired|missing)_(?!PASS|pass)
    | (?:Exception|Error|Fault|Failure|Invalid|Expired|Mismatch|Missing|Required|DoesNotMatch|NotFound|Denied)\Z
    | _(?:INVALID|EXPIRED|MISMATCH|MISSING|REQUIRED|DOES_NOT_MATCH|NOT_FOUND|DENIED|ERROR|FAILURE)\Z""",
    re.VERBOSE,
)
# A name of the schema, as in "column 'password_hash'".
SCHEMA_NAME: Final = re.compile(r"(?:column|field|Ref\.Name|partition|attribute)s?[ (]{0,2}[\"'`]?\Z", re.IGNORECASE)
# An object of Kubernetes, as in "secret 'milvus-s3' not found".
OBJECT: Final = re.compile(
    r"""secrets?\s(?:["'][a-z0-9][a-z0-9./-]*+["']\s(?:not\sfound|is\sforbidden|already\sexists|in\snamespace)
    | [a-z0-9]++(?:[./-][a-z0-9]++)++(?:[\s,:;)]|\Z))""",
    re.IGNORECASE | re.VERBOSE,
)
# What a parser calls a token.
PARSER: Final = re.compile(r"(?:unexpected|unrecognized|near)\s\Z", re.IGNORECASE)
# Keys whose value can hold pairs and separators of its own.
COMPOUND: Final = re.compile(r"authorization|cookie|conn(?:ection|ect)?[ _.-]?str", re.IGNORECASE)

_LONGEST_PREFIX: Final = 60
_NAME_CHARS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.$-")


def may_hold_key(text: str) -> bool:
    """Take a quick look, which spares most texts the rest."""
    return _STEM.search(text.casefold()) is not None


def start_of_name(text: str, at: int) -> int:
    """Return where the identifier starts that holds ``at``."""
    least = max(0, at - _LONGEST_PREFIX)
    while at > least and text[at - 1] in _NAME_CHARS:
        at -= 1
    return at


def announces_secret(name: str) -> bool:
    """Whether a value behind this name, which holds a key word, is a secret."""
    return not (ABOUT_A_SECRET.search(name) or ERROR_NAME.search(name))
