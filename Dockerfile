# The daemon as an image: built from the lock file, run as nobody on a read-only file system.
#   docker build -t aiops .
#   docker run --read-only -v aiops-var:/var/lib/aiops -v ./mine.yaml:/etc/aiops/aiops.yaml:ro aiops
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY requirements.lock ./
RUN python -m venv /opt/aiops \
 && /opt/aiops/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --no-compile -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY aiops aiops
COPY simulators simulators
COPY config config
COPY policies policies
RUN /opt/aiops/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps . \
 && /opt/aiops/bin/python -m compileall -q -j 0 /opt/aiops/lib

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 65532 --home-dir /var/lib/aiops --create-home --shell /usr/sbin/nologin aiops
COPY --from=build /opt/aiops /opt/aiops
ENV PATH=/opt/aiops/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    AIOPS_STORE__URL=sqlite:////var/lib/aiops/aiops.db AIOPS_MODELS__CHECKPOINT=/var/lib/aiops/models.npz
USER 65532:65532
WORKDIR /var/lib/aiops
VOLUME /var/lib/aiops
EXPOSE 9464
ENTRYPOINT ["aiops"]
CMD ["run", "--config", "/etc/aiops/aiops.yaml"]
