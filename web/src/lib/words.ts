import { LedgerRefused, ProblemError, UnreachableError, WalletError, type WalletRefusal } from '../client/errors';
import type { EndReason, GapReason } from '../client/types';
import { formatEth } from './money';

/** How a message is meant. A refusal by the user is calm: nothing went wrong. */
export type Tone = 'calm' | 'good' | 'bad';

/** A message to people. */
export interface Words {
  readonly tone: Tone;
  readonly text: string;
}

const wallet: Readonly<Record<WalletRefusal, Words>> = {
  rejected: { tone: 'calm', text: 'You declined in your wallet. Nothing has changed.' },
  busy: { tone: 'calm', text: 'Your wallet is still waiting for an answer. Open it and decide there.' },
  'unknown-chain': { tone: 'bad', text: 'Your wallet is not on the chain of this ledger. Switch there and try again.' },
  disconnected: { tone: 'bad', text: 'Your wallet has no connection to its chain. Check it and try again.' },
  unsupported: { tone: 'bad', text: 'Your wallet cannot do this. Try another one.' },
  failed: { tone: 'bad', text: 'Your wallet could not do this. Check that it holds enough ETH, and try again.' },
};

const ended: Readonly<Record<EndReason, Words>> = {
  expired: { tone: 'calm', text: 'Your paid time is used up. Pay again to go on watching.' },
  cancelled: { tone: 'calm', text: 'The subscription is cancelled.' },
  retired: { tone: 'calm', text: 'The provider has retired this feed. You can cancel what is left of your time.' },
  reorg: { tone: 'bad', text: 'The chain has undone the block with your payment. Your wallet shows whether it was paid again.' },
  revoked: { tone: 'calm', text: 'You were signed out. Sign in again to go on watching.' },
};

const gaps: Readonly<Record<GapReason, string>> = {
  slow: 'this connection is too slow',
  lost: 'they never reached the gateway',
  gone: 'they are no longer kept',
};

/** Why a watch is over. */
export function endedWords(reason: EndReason): Words {
  return ended[reason];
}

/** What is missing, and why. */
export function gapWords(count: number, stream: string, reason: GapReason): string {
  return `${count} ${count === 1 ? 'event' : 'events'} of ${stream} missing: ${gaps[reason]}.`;
}

/** What went wrong and what to do about it. */
export function explain(error: unknown): Words {
  if (error instanceof WalletError) return wallet[error.refusal];
  if (error instanceof LedgerRefused) return { tone: 'bad', text: ledgerText(error) };
  if (error instanceof UnreachableError) return { tone: 'bad', text: 'The gateway cannot be reached. Check your network and try again.' };
  if (error instanceof ProblemError) return { tone: 'bad', text: error.message };
  return { tone: 'bad', text: error instanceof Error ? error.message : 'Something went wrong.' };
}

function ledgerText({ refusal, values }: LedgerRefused): string {
  const [first] = values;
  switch (refusal) {
    case 'PriceAboveMax':
    case 'WrongPayment':
      return 'The price has just changed. Nothing was paid; look at the new price and decide again.';
    case 'PriceChanged':
      return 'The price has changed, so this subscription cannot be renewed. Let it end or cancel it, then subscribe anew.';
    case 'ListingMismatch':
      return 'The provider has just changed what this feed holds. Nothing was paid; read the new listing first.';
    case 'SubscriptionLive':
      return 'You have a live subscription to this feed already.';
    case 'SubscriptionNotLive':
      return 'This subscription has already ended.';
    case 'FeedPaused':
      return 'The feed is paused and cannot be bought now.';
    case 'FeedRetired':
      return 'The feed is retired and cannot be bought any more.';
    case 'FeedUnknown':
      return 'The ledger knows no such feed.';
    case 'DurationOutOfBounds':
      return 'A subscription reaches from 1 minute to 366 days ahead.';
    case 'PaymentFailed':
      return 'The refund could not be paid out to your wallet.';
    case 'InsufficientFunds':
      return typeof first === 'bigint' ? `Your wallet holds ${formatEth(first)}, which is not enough for this and its gas.` : 'Your wallet does not hold enough ETH.';
    default:
      return `The ledger refused (${refusal}). Nothing was paid.`;
  }
}
