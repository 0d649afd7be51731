# docker build -t nearcache . && docker run -p 6380:6380 -e NEARCACHE_UPSTREAM=redis://host nearcache
FROM rust:1-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends make gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin nearcache

FROM debian:bookworm-slim
# The roots that rediss:// upstreams are verified with.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 6380 --user-group --no-create-home nearcache
COPY --from=build /src/target/release/nearcache /usr/local/bin/nearcache
COPY conf/nearcache.toml /etc/nearcache/nearcache.toml
USER nearcache
# Inside a container the loopback address reaches nobody. Set NEARCACHE_SERVER__PASSWORD before publishing
# the port to a network that you do not trust.
ENV NEARCACHE_CONFIG=/etc/nearcache/nearcache.toml NEARCACHE_LISTEN=0.0.0.0:6380
EXPOSE 6380
# PID 1 gets SIGTERM itself and drains.
ENTRYPOINT ["/usr/local/bin/nearcache"]
