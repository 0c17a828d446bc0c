import type { Subscription } from '../client/types';
import { formatEth } from '../lib/money';
import { explain, type Words } from '../lib/words';
import type { App } from './app.svelte';
import { Task } from './task.svelte';

/** The subscriptions of the signed-in wallet. */
export class Subscriptions {
  list = $state.raw<readonly Subscription[] | null>(null);
  trouble = $state.raw<Words | null>(null);
  readonly task = new Task();

  constructor(private readonly app: App) {}

  async load(): Promise<void> {
    const { session } = this.app;
    if (!session) {
      this.list = null;
      return;
    }
    try {
      this.list = await this.app.gateway.subscriptions(session.token);
      this.trouble = null;
    } catch (error) {
      this.app.noteError(error);
      this.trouble = explain(error);
    }
  }

  signIn(): Promise<void> {
    return this.task.run(async (tell) => {
      const { payer, chain } = await this.app.payer(tell);
      await this.app.signedIn(payer, chain, tell);
      return null;
    });
  }

  /** Ends a subscription that this wallet has paid for. */
  cancel({ feed, beneficiary }: Subscription): Promise<void> {
    return this.task.run(async (tell) => {
      try {
        const { payer, ledger } = await this.app.payer(tell);
        const { refund } = await ledger.cancel(payer, feed, beneficiary, tell);
        return { tone: 'good', text: `Cancelled. ${formatEth(refund, 'exact')} is back in your wallet.` };
      } finally {
        void this.load();
      }
    });
  }
}
