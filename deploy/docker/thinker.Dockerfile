# syntax=docker/dockerfile:1
# A Thinker. `--entrypoint bagel ... serve` makes of it a whole node, or a stage of several nodes.
#   docker build -f deploy/docker/thinker.Dockerfile -t bagel-serve-thinker:0.1.0-cpu .
#   docker build -f deploy/docker/thinker.Dockerfile -t bagel-serve-thinker:0.1.0-cuda \
#     --build-arg TORCH=cu130 --build-arg MOONCAKE=mooncake-cuda13 .

FROM python:3.11.14-slim-bookworm AS builder
# A folder of download.pytorch.org/whl: cpu, cu126, cu130 or cu132.
ARG TORCH=cpu
# An extra of pyproject.toml, or none: mooncake (no NVIDIA software), mooncake-cuda (CUDA 12), mooncake-cuda13.
ARG MOONCAKE=
WORKDIR /src
RUN python -m venv /opt/bagel
COPY constraints.txt ./
# Without what it needs, which comes from PyPI below like everything else.
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/bagel/bin/pip install --no-deps --constraint constraints.txt \
        --index-url "https://download.pytorch.org/whl/${TORCH}" torch
COPY pyproject.toml README.md LICENSE ./
COPY bagel bagel
COPY services services
COPY transport transport
COPY models/toy models/toy
COPY deploy/*.yaml deploy/
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/bagel/bin/pip install --constraint constraints.txt ".[stage,otel${MOONCAKE:+,${MOONCAKE}}]"

FROM python:3.11.14-slim-bookworm
ARG MOONCAKE=
# What Mooncake's wheels link, and the providers of RDMA devices. Debian keeps one version of each: no pins.
# hadolint ignore=DL3008
RUN if [ -n "${MOONCAKE}" ]; then \
        apt-get update \
        && apt-get install --yes --no-install-recommends ibverbs-providers libcurl4 libibverbs1 libnuma1 \
        && rm -rf /var/lib/apt/lists/*; \
    fi
# One group for all images: the Thinker's socket for shared memory is open to it.
RUN groupadd --gid 10001 bagel \
    && useradd --uid 10002 --gid bagel --no-create-home --home-dir /tmp --shell /usr/sbin/nologin thinker \
    && useradd --uid 10003 --gid bagel --no-create-home --home-dir /tmp --shell /usr/sbin/nologin dit \
    && install -d -o 10002 -g 10001 -m 2770 /run/bagel \
    && install -d -o 10001 -g 10001 -m 2775 /var/cache/huggingface
COPY --from=builder /opt/bagel /opt/bagel
COPY deploy/docker/health.py /opt/bagel/health.py
# Threads that wait for each other sleep: the other stage may need the core.
ENV PATH=/opt/bagel/bin:$PATH HOME=/tmp HF_HOME=/var/cache/huggingface OMP_WAIT_POLICY=PASSIVE \
    PYTHONDONTWRITEBYTECODE=1 PYTHONSAFEPATH=1 GRPC_VERBOSITY=ERROR NVIDIA_DRIVER_CAPABILITIES=compute,utility
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="bagel-serve thinker" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /opt/bagel
USER 10002:10001
EXPOSE 8101
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=5s --start-period=30m --retries=3 \
    CMD ["python", "/opt/bagel/health.py", "grpc://127.0.0.1:8101"]
ENTRYPOINT ["python", "-m", "services.thinker"]
CMD ["--bind", "0.0.0.0:8101", "--transport", "shm,zeromq", "--plain-progress"]
