# The server and the command line in one image, without root and for a read-only file system: all that
# it writes goes to /data. Settings are variables, docs/operations.md has them.

FROM python:3.13-slim AS build
WORKDIR /build
RUN python -m venv /opt/accredit && pip install --no-cache-dir "hatchling>=1.27,<2"
COPY pyproject.toml README.md LICENSE requirements.txt ./
COPY clients/python clients/python
COPY service service
COPY storage storage
COPY protos protos
# In the versions of the lock; its hashes are left out, since pip takes them for all or for none and
# our own wheels are made here. These are named as files, so that no index is asked for `accredit`.
RUN python -m hatchling build -t wheel -d /wheels \
    && (cd clients/python && python -m hatchling build -t wheel -d /wheels) \
    && sed -e 's/ \\$//' -e '/^ *--hash=/d' requirements.txt >/wheels/versions.txt \
    && client=$(echo /wheels/accredit-*.whl) server=$(echo /wheels/accredit_server-*.whl) \
    && /opt/accredit/bin/pip install --no-cache-dir --constraint /wheels/versions.txt \
        "$client" "$client[cli]" "$server[postgres]"

FROM python:3.13-slim
COPY --from=build /opt/accredit /opt/accredit
RUN useradd --system --uid 10001 --user-group --no-create-home accredit \
    && install --directory --owner=accredit --group=accredit --mode=0700 /data
ENV PATH=/opt/accredit/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ACCREDIT_DATA_DIR=/data
USER accredit
VOLUME /data
# It listens on loopback inside the container until ACCREDIT_LISTEN says otherwise, which takes TLS
# or, behind a proxy, ACCREDIT_INSECURE_PLAINTEXT.
EXPOSE 50051
STOPSIGNAL SIGTERM
# No HEALTHCHECK: gRPC's health service answers without a token, and orchestrators can ask it.
ENTRYPOINT ["accredit-server"]
CMD ["serve"]
