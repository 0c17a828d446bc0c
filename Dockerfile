# All of Ashya's images: `docker compose build` makes the targets chain, ledger, gateway and agent.

FROM node:20-bookworm-slim AS node
WORKDIR /src
COPY .npmrc package.json package-lock.json ./
COPY web/package.json web/
COPY contracts/package.json contracts/
RUN npm ci

FROM node AS web
COPY web web
RUN npm run --workspace web build

FROM node AS onnxruntime
COPY scripts/onnxruntime.mjs scripts/
COPY device-agent/onnxruntime.sha256 device-agent/
RUN node scripts/onnxruntime.mjs

FROM rust:1.95.0-bookworm AS rust
RUN apt-get update \
    && apt-get install --yes --no-install-recommends nasm \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
COPY --from=web /src/web/dist web/dist
RUN cargo build --release --locked --bins -p ashya-contracts -p ashya-gateway -p ashya-agent --features ashya-agent/native-rtsp

# Nobody in the running containers is root; each has one folder of its own to write to.
FROM debian:bookworm-slim AS runtime
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home ashya \
    && install -d -o ashya -g ashya /shared \
    && install -d -o ashya -g ashya -m 700 /data
USER ashya
WORKDIR /data

FROM runtime AS ledger
COPY --from=rust /src/target/release/ashya-ledger /usr/local/bin/
ENTRYPOINT ["ashya-ledger"]

FROM runtime AS gateway
COPY --from=rust /src/target/release/ashya-gateway /usr/local/bin/
ENTRYPOINT ["ashya-gateway"]

FROM runtime AS agent
USER root
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ffmpeg \
    && rm -rf /var/lib/apt/lists/*
USER ashya
COPY --from=onnxruntime /src/target/onnxruntime /usr/local/lib/onnxruntime
COPY --from=rust /src/target/release/ashya-agent /usr/local/bin/
COPY models/street_tiny_320.onnx /usr/local/share/ashya/models/
ENTRYPOINT ["ashya-agent"]

# A local chain with play money, for the demo alone.
FROM runtime AS chain
COPY --from=node /src/node_modules/@foundry-rs /opt/foundry
USER root
RUN ln -s /opt/foundry/anvil-linux-*/bin/anvil /usr/local/bin/anvil
USER ashya
ENTRYPOINT ["anvil"]
