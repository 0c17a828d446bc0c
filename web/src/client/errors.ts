import type { Address, Offer } from './types';

/** A value that does not have the shape that the protocol gives it. */
export class ShapeError extends Error {
  override readonly name = 'ShapeError';
}

/** The gateway refused a request (RFC 9457). */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';

  constructor(
    readonly status: number,
    /** Stable code for machines. */
    readonly code: string,
    detail: string,
    /** How to pay, with status 402. */
    readonly offer: Offer | null = null,
  ) {
    super(detail);
  }
}

/** The gateway could not be reached. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError';

  constructor(options?: ErrorOptions) {
    super('The gateway cannot be reached.', options);
  }
}

/** Bytes that are not an envelope. */
export class EnvelopeError extends Error {
  override readonly name = 'EnvelopeError';
}

/** An event that the device which it names has not signed. */
export class SignatureError extends Error {
  override readonly name = 'SignatureError';

  constructor(
    readonly device: Address,
    /** Whoever signed it; `null` when the signature names nobody. */
    readonly signer: Address | null,
  ) {
    super(signer === null ? `bad signature on an event of ${device}` : `signed by ${signer}, not by ${device}`);
  }
}

/** Why a wallet did not do what it was asked. */
export type WalletRefusal = 'rejected' | 'busy' | 'unknown-chain' | 'disconnected' | 'unsupported' | 'failed';

/** A wallet did not do what it was asked. The reason comes from its code, never from its text. */
export class WalletError extends Error {
  override readonly name = 'WalletError';

  constructor(
    readonly refusal: WalletRefusal,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The ledger refused a call. */
export class LedgerRefused extends Error {
  override readonly name = 'LedgerRefused';

  constructor(
    /** Name of the contract's error, such as `PriceAboveMax`. */
    readonly refusal: string,
    readonly values: readonly unknown[],
    options?: ErrorOptions,
  ) {
    super(`the ledger refused: ${refusal}`, options);
  }
}
