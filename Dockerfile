# The base can be any image with Python 3.11 or newer as `python`; what is installed is the same.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
WORKDIR /src
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
RUN python -m venv /opt/exporter
COPY pyproject.toml README.md LICENSE CHANGELOG.md ./
COPY exporter ./exporter
ARG REVISION=""
# The last stage gets this environment and nothing else: no pip in it, no sources beside it.
RUN printf '%s\n' "${REVISION}" > exporter/REVISION \
 && /opt/exporter/bin/python -m pip install . \
 && /opt/exporter/bin/python -m pip uninstall --yes pip setuptools

FROM ${BASE}
ARG REVISION=""
LABEL org.opencontainers.image.title="milvus-refresh-exporter" \
      org.opencontainers.image.description="Prometheus exporter for the refresh jobs of Milvus external collections" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/exporter /opt/exporter
ENV PATH=/opt/exporter/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
EXPOSE 19540
# Healthy is: the poll loop is alive. Where the listen address is changed or TLS is on, override this.
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:19540/-/healthy', timeout=4)"]
ENTRYPOINT ["milvus-refresh-exporter"]
CMD ["run"]
