"""What fuzzing begins with: texts, listings and settings that the tests know, and words worth putting in."""

from __future__ import annotations

import base64
import hashlib
import random
from collections.abc import Callable
from pathlib import Path

import yaml
from canaries import REASONS, SOURCES, plant

from exporter.config.keys import KEYS
from exporter.milvus.pb import milvus_refresh_pb2 as pb

TESTS = Path(__file__).resolve().parents[1]
# ruff: noqa: RUF001

KNOWN = [case["text"] for case in yaml.safe_load((TESTS / "data" / "reasons.yaml").read_text(encoding="utf-8"))]
UGLY = [plant(text, "hunter2canary").text for text in (*SOURCES, *REASONS)]
_NOON = 1_790_000_000_000


def seeds(target: str) -> list[bytes]:
    """Return the inputs that a target begins with."""
    return _SEEDS[target]()


def regressions(target: str = "*") -> list[tuple[Path, bytes]]:
    """Return the inputs that have found a fault once, kept as text, and where each is kept."""
    found = sorted((TESTS / "fuzz" / "regressions").glob(f"{target}/*.base64"))
    return [(path, base64.b64decode(path.read_text(encoding="ascii"))) for path in found]


def keep(target: str, data: bytes) -> Path:
    """Put an input that has found a fault beside the others and return where."""
    path = TESTS / "fuzz" / "regressions" / target / f"{hashlib.sha256(data).hexdigest()[:14]}.base64"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(base64.encodebytes(data))
    return path


def dictionary(target: str) -> list[str]:
    """Return words that a mutation may put in."""
    match target:
        case "configuration":
            names = [text for key in KEYS.values() for text in (key.dotted, key.path[-1] + ": ")]
            return [*names, "!!", "&a", "*a"]
        case "units":
            return ["y", "w", "d", "h", "m", "s", "ms", "KiB", "MiB", "GiB"]
        case "redact" | "reasons" | "repeated" | "decode" | "listings":
            return sorted(
                {word for text in (*KNOWN, *UGLY) for word in text.split() if word.isascii() and len(word) < 24}
            )
    return ["://", "@", "%40", "%25", "[::1]", ":19530", "unix:", "https://"]


_URIS = (
    "http://localhost:19530",
    "https://user:hunter2canary@milvus:443/db",
    "unix:/run/milvus.sock",
    "http://[::1]:1",
)


def _listings() -> list[pb.ListRefreshExternalCollectionJobsResponse]:
    listings = []
    for number in range(0, len(UGLY), 3):
        jobs = [
            pb.RefreshExternalCollectionJobInfo(
                job_id=number + state,
                collection_name=f"docs_{number % 5}",
                state=state,
                progress=40,
                start_time=_NOON,
                end_time=_NOON + 60_000 if state > 1 else 0,
                external_source=UGLY[number % len(SOURCES)],
                reason=UGLY[(number + state) % len(UGLY)] if state == 3 else "",
            )
            for state in (number % 4, 3)
        ]
        listings.append(pb.ListRefreshExternalCollectionJobsResponse(jobs=jobs))
    return listings


def _picks() -> list[bytes]:
    record = bytes([3, 140, 9, 120, 121, 254]) + b"docs\xfds3://lake/docs\xfdaccess denied"
    return [b"\x80" + record, b"\x80" + b"\xff".join([record, record.replace(b"\x03", b"\x01", 1)] * 3)]


def _files() -> list[bytes]:
    return [b"\0" + path.read_bytes() for path in sorted((TESTS / "config").glob("*.yaml"))]


def _flags() -> list[bytes]:
    return [b"\x02" + f"{key.flag}\n{key.default}".encode() for key in KEYS.values() if key.flag]


def _variables() -> list[bytes]:
    names = [name for key in KEYS.values() for name in key.variables]
    return [
        b"\x03" + (chr(number) + key.default).encode()
        for number, key in enumerate(KEYS.values())
        if number < len(names)
    ]


_UNITS = (
    *(
        "\0sig=",
        "\0sig=a ",
        '\0password="',
        "\0token:'",
        'x\0password="a',
        "\0(",
        "\0{",
        "{\0}",
        "\0</a> <b>",
        "\0\\",
        "\0%25",
    ),
    *(
        "\0&amp;",
        "\0a=b&",
        "\0://a:b ",
        "\0access_key_value ",
        "\0--BEGIN ",
        "\0map[",
        "\0eyJaaaaaaaa.",
        "\0aB1",
        "\0-p ",
    ),
    *(
        "\0secret.access",
        "\0credentials a=",
        "\0password: >",
        "\0key_",
        "\0FFI operation failed: ",
        "\0х",
        "\0“",
        "\0\u0301",
    ),
)


def _texts() -> list[bytes]:
    return [text.encode("utf-8", "surrogatepass") for text in (*KNOWN, *UGLY)]


def _compositions() -> list[bytes]:
    chance = random.Random(1)
    return [chance.randbytes(1 + 3 * chance.randrange(1, 8)) for _ in range(300)]


def _orders() -> list[bytes]:
    record = b"docs\xfds3://lake/docs\xfdaccess denied"
    pool = b"\xff".join(bytes([3, 140, number, 120, number * 30, 254]) + record for number in range(1, 6))
    return [bytes([3, 5, 4, 2, 9, 77, 30, 200]) + pool, bytes(8) + pool, bytes(range(8)) + pool]


_SEEDS: dict[str, Callable[[], list[bytes]]] = {
    "redact": _texts,
    "reasons": _texts,
    "canaries": _compositions,
    "repeated": lambda: [text.encode() for text in (*_UNITS, *UGLY)],
    "decode": lambda: [b"\x80" + listing.SerializeToString() for listing in _listings()] + _picks(),
    "listings": _orders,
    "configuration": lambda: [*_files(), *_flags(), *_variables()],
    "units": lambda: [b"15s", b"1h30m", b"26h", b"30d", b"1y2w3d4h5m6s7ms", b"256MiB", b"1", b"0s", b"100y"],
    "uris": lambda: [text.encode() for text in (*_URIS, *UGLY)],
}
