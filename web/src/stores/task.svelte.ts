import { explain, type Words } from '../lib/words';

/** What a wallet action is busy with. */
export type Stage = 'connecting' | 'switching' | 'signing-in' | 'simulating' | 'confirming' | 'mining';

/** One action at a time that goes through the wallet, with its progress and its outcome in words. */
export class Task {
  stage = $state<Stage | null>(null);
  outcome = $state.raw<Words | null>(null);

  get busy(): boolean {
    return this.stage !== null;
  }

  /** Runs an action unless one is running. Its words are the outcome; an error is explained. */
  async run(action: (tell: (stage: Stage) => void) => Promise<Words | null>): Promise<void> {
    if (this.busy) return;
    this.outcome = null;
    this.stage = 'connecting';
    try {
      this.outcome = await action((stage) => (this.stage = stage));
    } catch (error) {
      this.outcome = explain(error);
    } finally {
      this.stage = null;
    }
  }
}
