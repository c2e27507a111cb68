# What is installed is pinned with hashes in requirements/; the base is any image with Python 3.11 or newer as `python`.
# BUILD_BASE also needs venv and pip, BASE does not. See docs/deploy/image.md.
ARG BASE=python:3.13-slim
ARG BUILD_BASE=${BASE}

FROM ${BUILD_BASE} AS build
WORKDIR /src
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_COMPILE=1
# The second environment is what the last stage gets, and no pip is ever in it.
RUN python -m venv /build && python -m venv --without-pip /opt/exporter
COPY requirements ./requirements
RUN /build/bin/python -m pip install --require-hashes --requirement requirements/build.txt \
 && /build/bin/python -m pip --python /opt/exporter/bin/python install --require-hashes --only-binary :all: \
    --requirement requirements/image.txt
COPY pyproject.toml README.md LICENSE CHANGELOG.md ./
COPY exporter ./exporter
ARG REVISION=""
# Compiled here, since nothing can be written where it runs; without time stamps, so that a second build gives the same files.
RUN printf '%s\n' "${REVISION}" > exporter/REVISION \
 && /build/bin/python -m hatchling build --target wheel \
 && /build/bin/python -m pip --python /opt/exporter/bin/python install --no-deps --no-index dist/*.whl \
 && /opt/exporter/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/exporter/lib \
 && mkdir /state

FROM ${BASE}
ARG BASE
ARG VERSION=""
ARG REVISION=""
ARG CREATED=""
ARG SOURCE=""
LABEL org.opencontainers.image.title="milvus-refresh-exporter" \
      org.opencontainers.image.description="Prometheus exporter for the refresh jobs of Milvus external collections" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.base.name="${BASE}"
COPY --from=build /opt/exporter /opt/exporter
# For a state file on a volume: a new named volume takes over whose folder it is.
COPY --from=build --chown=10001:10001 /state /var/lib/milvus-refresh-exporter
ENV PATH=/opt/exporter/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
EXPOSE 19540
# Asks /-/healthy at the address that MILVUS_REFRESH_EXPORTER_WEB__LISTEN_ADDRESS or the file in
# MILVUS_REFRESH_EXPORTER_CONFIG__FILE names; flags after `run` are not seen here.
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s CMD ["milvus-refresh-exporter", "health"]
ENTRYPOINT ["milvus-refresh-exporter"]
CMD ["run"]
