// Writes the seeds of the fuzz targets: the golden vectors of the protocol, and an example of each message in the documents.
// `node tests/fuzz/seeds.mjs` in the top folder; the same vectors give the same files.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";

const here = new URL(".", import.meta.url);
const vectors = JSON.parse(readFileSync(new URL("../../protocol/vectors/envelopes.json", here)));
const typed = JSON.parse(readFileSync(new URL("../../protocol/vectors/typed_data.json", here)));
const bytesOf = (hex) => Buffer.from(hex.slice(2), "hex");
const text = (value) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value));

/** A client's frame (RFC 6455, section 5.2) with the mask 1, 2, 3, 4. */
function frame(first, payload) {
  const length =
    payload.length < 126 ? [payload.length] : [126, payload.length >> 8, payload.length & 255];
  const mask = [1, 2, 3, 4];
  const masked = payload.map((byte, index) => byte ^ mask[index % 4]);
  return Buffer.from([first, length[0] | 0x80, ...length.slice(1), ...mask, ...masked]);
}

/** An MQTT packet of less than 16,384 bytes. */
function packet(first, ...parts) {
  const body = Buffer.concat(parts);
  const length = body.length < 128 ? [body.length] : [(body.length & 127) | 128, body.length >> 7];
  return Buffer.concat([Buffer.from([first, ...length]), body]);
}

const mqttText = (value) => Buffer.concat([Buffer.from([0, value.length]), text(value)]);

const { event, envelope } = vectors.envelopes[0];
const feed = typed.feedId.feed;
const payload = bytesOf(event.payload).toString();
const client = [
  { type: "auth", token: "a.b.c" },
  { type: "watch", feed, streams: ["detections"], since: { detections: { boot: 3, seq: 41 } } },
  { type: "unwatch", feed },
  { type: "ping" },
];
const server = [
  { type: "welcome", wallet: event.device },
  { type: "watching", feed, device: event.device, streams: ["detections"], expiresAt: 1790000000 },
  { type: "event", ...event, payloadHash: undefined, payload, signature: vectors.envelopes[0].signature },
  { type: "gap", device: event.device, stream: "frames", boot: 3, from: 43, to: 57, reason: "slow" },
  { type: "notice", feed, state: "paused", expiresAt: null },
  { type: "ended", feed, reason: "expired" },
  { type: "error", code: "malformed", message: "?" },
  { type: "pong" },
  {
    type: "payment-required",
    feed,
    price: "277777777777",
    listing: typed.feedListing.listing,
    chainId: vectors.domain.chainId,
    ledger: vectors.domain.ledger,
    minimum: 60,
  },
];
const siwe = (more) => `gate.example wants you to sign in with your Ethereum account:
0x${event.device.slice(2)}

Sign in to Ashya

URI: https://gate.example/
Version: 1
Chain ID: 31337
Nonce: 00aabbccdd
Issued At: 2026-09-21T14:13:00.000Z${more}`;

const connect = (level, more) =>
  packet(
    0x10,
    mqttText("MQTT"),
    Buffer.from([level, 0xee, 0, 60, ...more]),
    mqttText(event.device),
    ...(level === 5 ? [Buffer.from([0])] : []),
    mqttText(`ashya/v1/${event.device}/presence`),
    mqttText("offline"),
    mqttText(event.device),
    mqttText("a.b.c"),
  );
const topic = mqttText(`ashya/v1/${event.device}/up/detections`);
const publish = (properties) =>
  packet(0x32, topic, Buffer.from([0, 1, ...properties]), bytesOf(envelope));
const subscribe = packet(0x82, Buffer.from([0, 2]), topic, Buffer.from([0]));

const seeds = {
  envelope: [...vectors.envelopes, ...vectors.refused].map((one) => bytesOf(one.envelope)),
  messages: [...client, ...server].map(text),
  siwe: ["", "\nExpiration Time: 2026-09-21T16:13:21+02:00\nNot Before: 2026-09-21T14:13:20Z\nRequest ID: 7\nResources:\n- https://gate.example/a"]
    .map((more) => text(siwe(more))),
  // The first byte says how the rest is cut.
  mqtt: [
    [connect(4, []), publish([]), subscribe, Buffer.from([0xc0, 0, 0xe0, 0])],
    [connect(5, [0]), publish([0]), Buffer.from([0xc0, 0, 0xe0, 0])],
    [connect(4, []), packet(0x30, topic, text("{}")), packet(0xa2, Buffer.from([0, 3]), topic)],
  ].map((parts) => Buffer.concat([Buffer.from([7]), ...parts])),
  // The first two bytes say what came right behind the handshake, and how the rest is cut.
  websocket: [
    client.map((message) => frame(0x81, text(message))),
    [frame(0x01, text("{\"type\"")), frame(0x89, text("?")), frame(0x80, text(":\"ping\"}"))],
    [frame(0x82, bytesOf(envelope)), frame(0x8a, text("")), frame(0x88, Buffer.from([3, 232]))],
  ].map((frames) => Buffer.concat([Buffer.from([3, 9]), ...frames])),
};

for (const [target, files] of Object.entries(seeds)) {
  const folder = new URL(`seeds/${target}/`, here);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  files.forEach((bytes, index) => writeFileSync(new URL(String(index).padStart(2, "0"), folder), bytes));
}
