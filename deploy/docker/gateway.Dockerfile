# syntax=docker/dockerfile:1
# The gateway, and by another entry point (python -m services.registry) the registry: both live on the same packages,
# none of which is torch, so that a second image would differ in one line.
#   docker build -f deploy/docker/gateway.Dockerfile -t bagel-serve-gateway:0.1.0 .

FROM python:3.11.14-slim-bookworm AS builder
WORKDIR /src
RUN python -m venv /opt/bagel
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY bagel bagel
COPY services services
COPY transport transport
COPY models/toy models/toy
COPY deploy/*.yaml deploy/
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/bagel/bin/pip install --constraint constraints.txt ".[otel]"

FROM python:3.11.14-slim-bookworm
# One group for all images: a Thinker's socket is open to it. The hub's cache is filled by the gateway's user.
RUN groupadd --gid 10001 bagel \
    && useradd --uid 10001 --gid bagel --no-create-home --home-dir /tmp --shell /usr/sbin/nologin gateway \
    && install -d -o 10001 -g 10001 -m 2775 /var/cache/huggingface
COPY --from=builder /opt/bagel /opt/bagel
COPY deploy/docker/health.py /opt/bagel/health.py
ENV PATH=/opt/bagel/bin:$PATH HOME=/tmp HF_HOME=/var/cache/huggingface \
    PYTHONDONTWRITEBYTECODE=1 PYTHONSAFEPATH=1 GRPC_VERBOSITY=ERROR
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="bagel-serve gateway" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /opt/bagel
USER 10001:10001
EXPOSE 8091
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=5s --start-period=1m --retries=3 \
    CMD ["python", "/opt/bagel/health.py", "http://127.0.0.1:8091/livez"]
ENTRYPOINT ["python", "-m", "services.gateway"]
CMD ["--host", "0.0.0.0"]
