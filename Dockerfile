# syntax=docker/dockerfile:1
FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_CONSTRAINT=/src/constraints.txt
WORKDIR /src
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY cds_engine cds_engine
COPY adapters adapters
COPY rules rules
RUN python -m venv /opt/cds-engine \
 && /opt/cds-engine/bin/pip install '.[postgresql]' \
 && /opt/cds-engine/bin/python -m compileall -q /opt/cds-engine

FROM python:3.11-slim
LABEL org.opencontainers.image.title="cds-engine" \
      org.opencontainers.image.licenses="Apache-2.0"
# The image runs with a read-only root file system; only /data (the audit database) is written.
ENV PATH=/opt/cds-engine/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
RUN useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin cds \
 && install -d -o cds -g cds /data
COPY --from=build /opt/cds-engine /opt/cds-engine
USER 10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=3s --start-period=10s \
  CMD ["cds-engine", "doctor", "--url", "http://127.0.0.1:8000"]
# TLS ends at the reverse proxy in front; see docs/deployment.md.
ENTRYPOINT ["cds-engine"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000", "--database", "sqlite:////data/cds-engine.sqlite"]
