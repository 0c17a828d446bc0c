// Makes the golden vectors with an implementation that shares nothing with ours: viem for EIP-712 and
// signatures, cborg for CBOR. Run `node protocol/vectors/make.mjs`; a test fails when Rust disagrees.
import { writeFileSync } from 'node:fs';
import { encode, rfc8949EncodeOptions } from 'cborg';
import {
  domainSeparator, encodeAbiParameters, getAddress, hashTypedData, hexToBytes, keccak256, stringToHex, toBytes, toHex,
} from 'viem';
import { privateKeyToAccount, sign } from 'viem/accounts';

const key = keccak256(toBytes('ashya golden vector device'));
const account = privateKeyToAccount(key);
const domain = { chainId: 31337, ledger: '0x5fbdb2315678afecb367f032d93f642f64180aa3' };
const typedDomain = { name: 'Ashya', version: '1', chainId: domain.chainId, verifyingContract: getAddress(domain.ledger) };
const device = account.address.toLowerCase();
const owner = '0x70997970c51812dc3a010c7d01b50e0d17dc79c8';

const types = {
  Event: 'address device,string stream,uint64 boot,uint64 seq,uint64 timeUs,string contentType,bytes32 payloadHash',
  FeedAuthorization: 'address device,bytes32 name,address owner,uint64 deadline',
  DeviceRegistration: 'address device,address owner,uint64 revision,string title,string description,string[] streams',
  CredentialRequest: 'address device,string nonce',
  FeedListing: 'bytes32 feed,bytes32 listing',
};

const fields = (primaryType) =>
  types[primaryType].split(',').map((field) => {
    const [type, name] = field.split(' ');
    return { type, name };
  });

async function signed(primaryType, message) {
  const digest = hashTypedData({ domain: typedDomain, types: { [primaryType]: fields(primaryType) }, primaryType, message });
  return { digest, signature: await sign({ hash: digest, privateKey: key, to: 'hex' }) };
}

async function event(stream, boot, seq, timeUs, contentType, payload) {
  const payloadHash = keccak256(payload);
  const message = { device, stream, boot: BigInt(boot), seq: BigInt(seq), timeUs: BigInt(timeUs), contentType, payloadHash };
  return { device, stream, boot, seq, timeUs, contentType, payload, payloadHash, ...(await signed('Event', message)) };
}

const envelopeFields = (e) => [
  1, hexToBytes(e.device), e.stream, e.boot, e.seq, e.timeUs, e.contentType, hexToBytes(e.payload), hexToBytes(e.signature),
];
const cbor = (value) => toHex(encode(value, rfc8949EncodeOptions));

const name = 'Main street, north';
const nameBytes32 = stringToHex(name, { size: 32 });
const feed = keccak256(encodeAbiParameters([{ type: 'address' }, { type: 'bytes32' }], [device, nameBytes32]));
const document = JSON.stringify({
  description: 'Who passes, day and night: “people”, cars, dogs',
  device,
  name,
  privacy: 'No pictures are kept.',
  streams: [{ eventsPerMinute: 300, name: 'detections' }, { eventsPerMinute: 120, name: 'frames' }],
  title: 'Main street',
});
const listing = keccak256(toBytes(document));
const authorization = { device, name: nameBytes32, owner, deadline: 1_800_003_600n };
const registration = {
  device, owner, revision: 7n, title: 'Gate camera', description: 'Looks north – ünïcode', streams: ['detections', 'frames'],
};
const nonce = 'f0e1d2c3b4a5968778695a4b3c2d1e0f';

const detection = stringToHex('{"objects":[{"label":"dog","score":0.91}]}');
const typedData = {
  key,
  domain,
  separator: domainSeparator({ domain: typedDomain }),
  feedId: { device, name, nameBytes32, feed },
  event: await event('detections', 1_790_000_000, 42, 1_790_000_000_123_456, 'application/json', detection),
  feedAuthorization: { device, name, nameBytes32, owner, deadline: 1_800_003_600, ...(await signed('FeedAuthorization', authorization)) },
  deviceRegistration: { ...registration, revision: 7, ...(await signed('DeviceRegistration', registration)) },
  credentialRequest: { device, nonce, ...(await signed('CredentialRequest', { device, nonce })) },
  feedListing: { feed, document, listing, ...(await signed('FeedListing', { feed, listing })) },
};

const events = {
  detections: typedData.event,
  'empty payload': await event('status', 1, 0, 0, 'text/plain', '0x'),
  'binary payload': await event('frames', 24, 255, 65_536, 'image/jpeg', '0xffd8ffe000104a464946'),
  'largest numbers': await event('a'.repeat(32), 2 ** 53 - 1, 2 ** 53 - 1, 2 ** 53 - 1, `application/${'x'.repeat(115)}`, toHex(new Uint8Array(300).fill(0xa5))),
};
const envelopes = Object.entries(events).map(([title, { digest, signature, ...rest }]) => ({
  name: title, event: rest, digest, signature, envelope: cbor(envelopeFields({ ...rest, signature })),
}));

const good = envelopeFields(typedData.event);
const changed = (index, value) => cbor(good.map((field, i) => (i === index ? value : field)));
const goodHex = cbor(good).slice(2);
const refused = [
  { name: 'nothing', envelope: '0x' },
  { name: 'eight fields', envelope: cbor(good.slice(0, 8)) },
  { name: 'ten fields', envelope: cbor([...good, 0]) },
  { name: 'version 2', envelope: changed(0, 2) },
  { name: 'short device', envelope: changed(1, new Uint8Array(19)) },
  { name: 'stream with a slash', envelope: changed(2, 'a/b') },
  { name: 'empty stream', envelope: changed(2, '') },
  { name: 'long stream', envelope: changed(2, 'a'.repeat(33)) },
  { name: 'boot of 2^53', envelope: changed(3, 2n ** 53n) },
  { name: 'negative seq', envelope: changed(4, -1) },
  { name: 'fractional time', envelope: changed(5, 0.5) },
  { name: 'content type without a slash', envelope: changed(6, 'json') },
  { name: 'payload as text', envelope: changed(7, 'text') },
  { name: 'short signature', envelope: changed(8, new Uint8Array(64)) },
  { name: 'a byte behind', envelope: `0x${goodHex}00` },
  { name: 'a byte missing', envelope: `0x${goodHex.slice(0, -2)}` },
  { name: 'indefinite array', envelope: `0x9f${goodHex.slice(2)}ff` },
  { name: 'longer integer than needed', envelope: `0x${goodHex.slice(0, 2)}1801${goodHex.slice(4)}` },
  { name: 'a map', envelope: cbor({ version: 1 }) },
];

const save = (file, value) => writeFileSync(new URL(file, import.meta.url), `${JSON.stringify(value, null, 2)}\n`);
const plain = (value) => JSON.parse(JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? Number(v) : v)));
save('typed_data.json', plain(typedData));
save('envelopes.json', plain({ key, domain, envelopes, refused }));
