// The peer of `ashya-bench`: checks the golden detections envelope COUNT times with cborg and viem, as a subscriber
// in Node would, and prints the seconds that it took.
import { readFileSync } from 'node:fs';
import { decode } from 'cborg';
import { bytesToHex, getAddress, keccak256, recoverTypedDataAddress } from 'viem';

const count = Number(process.argv[2]);
const vectors = JSON.parse(readFileSync(new URL('../../protocol/vectors/envelopes.json', import.meta.url), 'utf8'));
const bytes = Buffer.from(vectors.envelopes[0].envelope.slice(2), 'hex');
const domain = { name: 'Ashya', version: '1', chainId: vectors.domain.chainId, verifyingContract: getAddress(vectors.domain.ledger) };
const types = {
  Event: [
    ['address', 'device'], ['string', 'stream'], ['uint64', 'boot'], ['uint64', 'seq'],
    ['uint64', 'timeUs'], ['string', 'contentType'], ['bytes32', 'payloadHash'],
  ].map(([type, name]) => ({ type, name })),
};

async function verify() {
  const [, device, stream, boot, seq, timeUs, contentType, payload, signature] = decode(bytes, { strict: true });
  const message = { device: bytesToHex(device), stream, boot, seq, timeUs, contentType, payloadHash: keccak256(payload) };
  const signer = await recoverTypedDataAddress({ domain, types, primaryType: 'Event', message, signature: bytesToHex(signature) });
  if (signer.toLowerCase() !== message.device) throw new Error('the golden envelope does not verify');
}

for (let i = 0; i < count / 10; i += 1) await verify();
const began = process.hrtime.bigint();
for (let i = 0; i < count; i += 1) await verify();
console.log(Number(process.hrtime.bigint() - began) / 1e9);
