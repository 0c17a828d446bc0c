import {
  BaseError, ContractFunctionRevertedError, createClient, custom, http, parseEventLogs, WaitForTransactionReceiptTimeoutError,
  type Chain as ViemChain, type Client, type EIP1193Provider, type TransactionReceipt,
} from 'viem';
import { getBalance, readContract, simulateContract, waitForTransactionReceipt, writeContract } from 'viem/actions';
import { LedgerRefused, WalletError } from './errors';
import type { FeedClock } from './feedClock';
import { ledgerAbi as abi } from './ledgerAbi';
import type { Address, Chain, FeedId, Hex } from './types';
import { refusalOf } from './wallets';

const RECEIPT_TIMEOUT_MS = 180_000;
const POLL_MS = 1_000;
const LOCAL_POLL_MS = 250;
const LOCAL_CHAIN = 31_337;

/** What the ledger holds of a subscription; times are feed time. */
export interface Agreement {
  readonly price: bigint;
  readonly start: number;
  readonly expiry: number;
}

/** The terms of a feed on the ledger. */
export interface Terms {
  readonly owner: Address;
  readonly price: bigint;
  readonly listing: Hex;
}

/** A step of a payment on its way. */
export type Step = 'simulating' | 'confirming' | 'mining';

/** How a call on the ledger was confirmed. */
export interface Receipt {
  readonly transaction: Hex;
  readonly block: bigint;
  /** What the wallet paid for gas, in wei. */
  readonly fee: bigint;
}

/** A wallet that pays. */
export interface Payer {
  readonly address: Address;
  readonly provider: EIP1193Provider;
}

type Write =
  | { readonly functionName: 'subscribe'; readonly args: readonly [Hex, Address, bigint, bigint, Hex]; readonly value: bigint }
  | { readonly functionName: 'extend'; readonly args: readonly [Hex, Address, bigint]; readonly value: bigint }
  | { readonly functionName: 'cancel'; readonly args: readonly [Hex, Address, Address] };

/** The contract `FeedLedger`, read through the chain's public RPC or else through the wallet. */
export class Ledger {
  private readonly viemChain: ViemChain;
  private readonly reader: Client;
  private readonly contract: { readonly address: Address; readonly abi: typeof abi };

  constructor(chain: Chain, wallet: EIP1193Provider | null) {
    this.viemChain = {
      id: chain.chainId,
      name: chain.name,
      nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
      rpcUrls: { default: { http: chain.rpcUrl === null ? [] : [chain.rpcUrl] } },
    };
    const transport = chain.rpcUrl === null && wallet ? custom(wallet) : http(chain.rpcUrl ?? undefined);
    const pollingInterval = chain.chainId === LOCAL_CHAIN ? LOCAL_POLL_MS : POLL_MS;
    this.reader = createClient({ chain: this.viemChain, transport, pollingInterval, cacheTime: 0 });
    this.contract = { address: chain.ledger, abi };
  }

  balance(address: Address): Promise<bigint> {
    return getBalance(this.reader, { address });
  }

  async terms(feed: FeedId): Promise<Terms> {
    const { owner, price, listing } = await readContract(this.reader, { ...this.contract, functionName: 'feedOf', args: [feed] });
    return { owner: lower(owner), price, listing };
  }

  async clock(feed: FeedId): Promise<FeedClock> {
    const clock = await readContract(this.reader, { ...this.contract, functionName: 'clockOf', args: [feed] });
    return {
      base: Number(clock.base),
      pausedAt: Number(clock.pausedAt),
      pausedTotal: Number(clock.pausedTotal),
      retiresAt: Number(clock.retiresAt),
    };
  }

  /** `null` where this payer never paid for this beneficiary. */
  async agreement(feed: FeedId, payer: Address, beneficiary: Address, blockNumber?: bigint): Promise<Agreement | null> {
    const { price, start, expiry } = await readContract(this.reader, {
      ...this.contract,
      functionName: 'subscriptionOf',
      args: [feed, payer, beneficiary],
      ...(blockNumber !== undefined && { blockNumber }),
    });
    return price === 0n ? null : { price, start: Number(start), expiry: Number(expiry) };
  }

  /** Pays for a feed, at the price and for the listing that the buyer has read. */
  async subscribe(
    payer: Payer,
    feed: FeedId,
    terms: { readonly price: bigint; readonly listing: Hex; readonly seconds: number },
    tell: (step: Step) => void,
  ): Promise<Receipt> {
    const { price, listing, seconds } = terms;
    const args = [feed, payer.address, BigInt(seconds), price, listing] as const;
    return receiptOf(await this.write(payer, { functionName: 'subscribe', args, value: price * BigInt(seconds) }, tell));
  }

  /** Adds time to a live subscription, at the price that it has. */
  async extend(
    payer: Payer,
    feed: FeedId,
    beneficiary: Address,
    terms: { readonly price: bigint; readonly seconds: number },
    tell: (step: Step) => void,
  ): Promise<Receipt> {
    const seconds = BigInt(terms.seconds);
    const args = [feed, beneficiary, seconds] as const;
    return receiptOf(await this.write(payer, { functionName: 'extend', args, value: terms.price * seconds }, tell));
  }

  /** Ends a subscription now. Gives back the exact refund, reckoned from the ledger's own event. */
  async cancel(
    payer: Payer,
    feed: FeedId,
    beneficiary: Address,
    tell: (step: Step) => void,
  ): Promise<Receipt & { readonly refund: bigint }> {
    const mined = await this.write(payer, { functionName: 'cancel', args: [feed, beneficiary, payer.address] }, tell);
    const events = parseEventLogs({ abi, eventName: 'SubscriptionSet', logs: mined.logs });
    const ended = events.find(({ address, args }) => lower(address) === this.contract.address && args.feed === feed);
    const before = await this.agreement(feed, payer.address, beneficiary, mined.blockNumber - 1n);
    if (!ended || !before) throw new LedgerRefused('NoCancellation', []);
    return { ...receiptOf(mined), refund: before.price * BigInt(before.expiry - Number(ended.args.expiry)) };
  }

  /** Simulates, writes and waits: the chain is asked before the wallet, so that nobody signs what would fail. */
  private async write(payer: Payer, call: Write, tell: (step: Step) => void): Promise<TransactionReceipt> {
    try {
      tell('simulating');
      await this.simulate(payer.address, call);
      tell('confirming');
      const hash = await this.send(payer, call);
      tell('mining');
      let replaced = false;
      const receipt = await waitForTransactionReceipt(this.reader, {
        hash,
        timeout: RECEIPT_TIMEOUT_MS,
        onReplaced: ({ reason }) => (replaced = reason !== 'repriced'),
      });
      if (replaced) throw new WalletError('rejected', 'The transaction was replaced in the wallet.');
      if (receipt.status !== 'success') throw new LedgerRefused('Reverted', []);
      return receipt;
    } catch (error) {
      throw explained(error);
    }
  }

  private simulate(account: Address, call: Write): Promise<unknown> {
    const base = { ...this.contract, account };
    switch (call.functionName) {
      case 'subscribe':
        return simulateContract(this.reader, { ...base, ...call });
      case 'extend':
        return simulateContract(this.reader, { ...base, ...call });
      case 'cancel':
        return simulateContract(this.reader, { ...base, ...call });
    }
  }

  private send({ address, provider }: Payer, call: Write): Promise<Hex> {
    const writer = createClient({ account: address, chain: this.viemChain, transport: custom(provider) });
    switch (call.functionName) {
      case 'subscribe':
        return writeContract(writer, { ...this.contract, ...call });
      case 'extend':
        return writeContract(writer, { ...this.contract, ...call });
      case 'cancel':
        return writeContract(writer, { ...this.contract, ...call });
    }
  }
}

function receiptOf(mined: TransactionReceipt): Receipt {
  return { transaction: mined.transactionHash, block: mined.blockNumber, fee: mined.gasUsed * mined.effectiveGasPrice };
}

function lower(address: Address): Address {
  return address.toLowerCase() as Address;
}

/** Tells the ledger's refusals and the wallet's from all else. */
function explained(error: unknown): unknown {
  if (!(error instanceof BaseError)) return error;
  const reverted = error.walk((cause) => cause instanceof ContractFunctionRevertedError);
  if (reverted instanceof ContractFunctionRevertedError) {
    return new LedgerRefused(reverted.data?.errorName ?? 'Reverted', reverted.data?.args ?? [], { cause: error });
  }
  if (error instanceof WaitForTransactionReceiptTimeoutError) return error;
  return new WalletError(refusalOf(error), error.shortMessage, { cause: error });
}
