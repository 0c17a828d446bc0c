// A local chain that gives the same gas on every run: the same accounts, and block times of its own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { arch, platform } from 'node:process';

import { concatHex, createTestClient, encodeDeployData, encodeFunctionData, http, publicActions, walletActions } from 'viem';
import { foundry } from 'viem/chains';

const ARCHITECTURES = { x64: 'amd64', arm64: 'arm64' };
const START = 1_900_000_000n;
const BLOCK_SECONDS = 12n;
const ACCOUNTS = 40;

export class Chain {
  #anvil;
  #client;
  #time = START;

  static async start() {
    const suffix = platform === 'win32' ? '.exe' : '';
    const name = `@foundry-rs/anvil-${platform}-${ARCHITECTURES[arch]}/bin/anvil${suffix}`;
    const binary = createRequire(import.meta.url).resolve(name);
    // Superfluid's own test deployer is larger than a real chain allows.
    const args = ['--host', '127.0.0.1', '--port', '0', '--accounts', String(ACCOUNTS), '--timestamp', String(START)];
    const anvil = spawn(binary, [...args, '--hardfork', 'prague', '--disable-code-size-limit', '--gas-limit', '1000000000']);
    const chain = new Chain();
    chain.#anvil = anvil;
    let output = '';
    for await (const chunk of anvil.stdout) {
      output += chunk;
      const port = output.match(/Listening on 127\.0\.0\.1:(\d+)/)?.[1];
      if (port === undefined) continue;
      const transport = http(`http://127.0.0.1:${port}`);
      chain.#client = createTestClient({ chain: foundry, mode: 'anvil', transport, pollingInterval: 5 })
        .extend(publicActions)
        .extend(walletActions);
      chain.accounts = await chain.#client.getAddresses();
      return chain;
    }
    throw new Error(`anvil ended before it listened: ${output}`);
  }

  async stop() {
    this.#anvil.kill();
    await once(this.#anvil, 'exit');
  }

  /** The time of the next block. */
  get next() {
    return this.#time + BLOCK_SECONDS;
  }

  async wait(seconds) {
    this.#time += BigInt(seconds);
    await this.#client.setNextBlockTimestamp({ timestamp: this.#time });
    await this.#client.mine({ blocks: 1 });
  }

  async #send(transaction) {
    this.#time += BLOCK_SECONDS;
    await this.#client.setNextBlockTimestamp({ timestamp: this.#time });
    const hash = await this.#client.sendTransaction({ gas: 100_000_000n, account: this.accounts[0], ...transaction });
    const receipt = await this.#client.waitForTransactionReceipt({ hash });
    if (receipt.status !== 'success') {
      await this.#client.call({ account: this.accounts[0], ...transaction });
      throw new Error(`reverted: ${hash}`);
    }
    return receipt;
  }

  /** Deploys an artifact, and first the libraries that it is linked with. */
  async deploy({ abi, bytecode, linkReferences = {} }, args = [], libraryOf) {
    let code = bytecode.replace(/^0x/, '');
    for (const [source, libraries] of Object.entries(linkReferences)) {
      for (const [library, places] of Object.entries(libraries)) {
        const address = (await libraryOf(source, library)).replace(/^0x/, '').toLowerCase();
        for (const { start } of places) code = code.slice(0, 2 * start) + address + code.slice(2 * start + 40);
      }
    }
    const data = encodeDeployData({ abi, bytecode: concatHex([`0x${code}`]), args });
    return (await this.#send({ data })).contractAddress;
  }

  /** Puts a contract at an address that was fixed elsewhere. */
  async place(address, creationCode) {
    const { data } = await this.#client.call({ data: creationCode });
    await this.#client.setCode({ address, bytecode: data });
  }

  /** A contract: `call` sends a transaction and gives its gas, `logs` gives its logs, `read` only asks. */
  at(address, abi) {
    const send = (from, functionName, args = [], value = 0n) =>
      this.#send({ account: from, to: address, data: encodeFunctionData({ abi, functionName, args }), value });
    const call = async (...transaction) => Number((await send(...transaction)).gasUsed);
    const logs = async (...transaction) => (await send(...transaction)).logs;
    const read = (functionName, args = []) => this.#client.readContract({ address, abi, functionName, args });
    return { address, call, logs, read };
  }

  signTypedData(account, typed) {
    return this.#client.signTypedData({ account, ...typed });
  }
}
