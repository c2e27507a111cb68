"""Planted secrets appear in no output and in no log, at debug level and in every fault."""

from __future__ import annotations

import base64

import pytest
from peers.exporter import Exporter, call
from peers.pymilvus_server import FAILED, LIST_JOBS, PENDING, PymilvusServer, databases, job

USER_INFO = "canary1UserInfoPw"
QUERY = "canary2QuerySignature"
FRAGMENT = "canary3FragmentValue"
SPEC = "canary4SpecSecretKey"
IN_KEY = "canary5ReasonKeyValue"
IN_JSON = "canary6ReasonJsonValue"
IN_URI = "canary7ReasonUriPw"
TOKEN = "canary8TokenPassword"
SECRETS = (USER_INFO, QUERY, FRAGMENT, SPEC, IN_KEY, IN_JSON, IN_URI, TOKEN)

SOURCE = f"s3://AKIA:{USER_INFO}@lake-bucket/orders?X-Amz-Signature={QUERY}#{FRAGMENT}"
REASONS = (
    f"explore external files failed: AccessDenied, secret_access_key={IN_KEY} was refused",
    f'failed to parse external spec {{"extfs": {{"access_key_value": "{IN_JSON}"}}}}: bad region',
    f"failed to get file info for s3://key:{IN_URI}@lake-bucket/orders/part-0?sig={QUERY}: NoSuchBucket",
)
ROOT = f"root:{TOKEN}"
ENCODED = base64.b64encode(ROOT.encode()).decode()
# The text and the wire's form of the token; also what is left where a cleaner cuts a secret in the middle.
FORBIDDEN = (*SECRETS, ENCODED, *(secret[:12] for secret in SECRETS))


def no_secret(text: str, where: str) -> None:
    found = [secret for secret in FORBIDDEN if secret in text]
    assert not found, f"{where} shows {found}"


@pytest.fixture
def world(milvus: PymilvusServer) -> PymilvusServer:
    described = databases(lake=["orders", "clicks", "users"])
    for one in described["lake"]["collections"]:
        one.update(source=SOURCE, spec=f'{{"secret": "{SPEC}"}}')
    planted = {"database": "lake", "external_source": SOURCE, "external_spec": f'{{"secret": "{SPEC}"}}'}
    names = ("orders", "clicks", "users")
    milvus.set(databases=described, auth={"tokens": [ROOT], "deny": []})
    milvus.set_jobs(
        *(job(n, names[n], FAILED, reason=reason, **planted) for n, reason in enumerate(REASONS)),
        job(9, "orders", PENDING, reason=REASONS[0], **planted),
    )
    return milvus


@pytest.mark.parametrize("way", ["environment", "address"])
def test_no_page_and_no_log_line_shows_a_secret(world: PymilvusServer, way: str) -> None:
    uri = world.uri if way == "environment" else world.uri.replace("://", f"://{ROOT}@")
    env = {"MILVUS_TOKEN": ROOT} if way == "environment" else {}
    with Exporter(uri, "--log.level", "debug", env=env) as exporter:
        shown = exporter.until(lambda now: now.total("jobs") == 4, "the jobs")
        assert "s3://lake-bucket/orders" in shown.text, "the safe part of the source is there"
        assert {labels["failure_class"] for labels, _ in shown.all("last_failure_info")} >= {"access_denied"}
        no_secret(shown.text, "/metrics")
        openmetrics = exporter.get("/metrics", accept="application/openmetrics-text;version=1.0.0").text
        assert openmetrics.endswith("# EOF\n")
        no_secret(openmetrics, "/metrics as OpenMetrics")
        for path in ("/", "/config", "/-/healthy", "/-/ready", f"/nothing?token={ROOT}"):
            answer = exporter.get(path)
            no_secret(answer.text + str(answer.headers), path)
        assert "<secret>" in exporter.get("/config").text
        spoil(world, exporter)
        no_secret(exporter.metrics().text, "/metrics after faults")
        no_secret(exporter.get("/").text, "/ after faults")
        assert exporter.stop() == 0
        no_secret(exporter.log, "the log at debug level")
        assert "Traceback" not in exporter.log


def spoil(world: PymilvusServer, exporter: Exporter) -> None:
    """Let Milvus's own error texts carry secrets, on each way they can come."""
    faults = {
        "server_error": {"status": {"code": 65535, "error_code": 1, "reason": REASONS[2] + SOURCE}},
        "unreachable": {"grpc": "UNAVAILABLE", "details": f"{REASONS[0]} {SOURCE}"},
        "unauthenticated": {"grpc": "UNAUTHENTICATED", "details": f"bad token {ROOT} {ENCODED} {REASONS[1]}"},
    }
    for kind, fault in faults.items():
        world.set_fault(LIST_JOBS, **fault)
        exporter.until(lambda now, kind=kind: kind in now.errors(), f"kind {kind}")


@pytest.mark.parametrize("command", ["once", "check"])
def test_no_command_shows_a_secret(world: PymilvusServer, command: str) -> None:
    flags = (command, "--milvus.uri", world.uri, "--log.level", "debug")
    done = call(*flags, env={"MILVUS_TOKEN": ROOT})
    assert done.returncode == 0, done.stdout + done.stderr
    no_secret(done.stdout + done.stderr, command)
    world.set_fault(LIST_JOBS, status={"code": 1009, "error_code": 1, "reason": REASONS[2] + SOURCE})
    done = call(*flags, env={"MILVUS_TOKEN": ROOT})
    assert done.returncode == 1
    no_secret(done.stdout + done.stderr, f"{command} on an error")


def test_no_process_list_shows_a_secret() -> None:
    """There is no flag for a secret, and who tries one is told so without an echo."""
    done = call("run", "--milvus.token", ROOT)
    assert done.returncode == 2
    no_secret(done.stdout + done.stderr, "the usage error")
