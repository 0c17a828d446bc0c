import { Connection, type ConnectionState, type Update } from '../client/connection';
import { SignatureError } from '../client/errors';
import { detectionsShape } from '../client/messages';
import { parseJson } from '../client/shape';
import type { VerifiedEvent } from '../client/typedData';
import type { Address, Detections, Domain, FeedId, ServerMessage, Session } from '../client/types';
import { DETECTIONS, isDrawn } from '../lib/drawn';
import { FrameMatcher, type Scene } from '../lib/frameMatcher';
import { countSeen, describeSeen, type Seen } from '../lib/seen';
import { endedWords, gapWords, type Words } from '../lib/words';

const HISTORY_LENGTH = 7;
/** The history gets a line at most this often, in microseconds of capture. */
const HISTORY_STEP_US = 2_000_000;
const NOTES_LENGTH = 4;
/** A screen reader is told at most this often what is seen, in milliseconds. */
const ANNOUNCE_MS = 6_000;
/** Boxes without a picture replace one only when none came for so long, in milliseconds. */
const PICTURE_STAYS_MS = 10_000;
/** An event that is older comes from a replay. */
const FRESH_MS = 10_000;
const MATCH_MS = 100;
const MAX_TEXT = 400;

/** What a watch is doing. */
export type Phase = 'connecting' | 'live' | 'paused' | 'offline' | 'reconnecting' | 'ended' | 'unpaid' | 'failed';

/** A line of what was seen. */
export interface HistoryLine {
  readonly key: number;
  readonly timeUs: number;
  readonly text: string;
}

/** The newest event of a stream that is not drawn. */
export interface Reading {
  readonly stream: string;
  readonly timeUs: number;
  readonly contentType: string;
  readonly text: string;
}

const UNREADABLE = 'The device sent detections that cannot be read.';

/** One feed as it is watched: what came, who signed it, and until when it is paid. */
export class LiveFeed {
  connection = $state<ConnectionState>('connecting');
  /** `null` while the gateway has not said that it sends. */
  device = $state<Address | null>(null);
  streams = $state.raw<readonly string[]>([]);
  /** Unix seconds; `null` while paused, and for the owner. */
  expiresAt = $state<number | null>(null);
  paused = $state(false);
  offline = $state(false);
  over = $state.raw<Words | null>(null);
  unpaid = $state(false);
  signedOut = $state(false);
  /** Events that came and were signed by the device. */
  verified = $state(0);
  /** Events that were dropped since they were not. */
  refused = $state(0);
  lastRefusal = $state<string | null>(null);
  /** Events that this machine was too slow for. */
  dropped = $state(0);
  scene = $state.raw<Scene | null>(null);
  seen = $state.raw<readonly Seen[] | null>(null);
  model = $state<string | null>(null);
  history = $state.raw<readonly HistoryLine[]>([]);
  readings = $state.raw<readonly Reading[]>([]);
  notes = $state.raw<readonly string[]>([]);
  announcement = $state('');

  /** The wallet that watches. */
  readonly wallet: Address;
  private readonly matcher = new FrameMatcher();
  private readonly socket: Connection;
  private readonly timer: ReturnType<typeof setInterval>;
  /** The stream that is drawn in place of `detections`, where the feed has none. */
  private derived: string | null = null;
  private announcedAt = 0;
  private picturedAt = 0;
  private lines = 0;

  /** `onChange` is told when what is on the ledger may have changed. */
  constructor(
    url: string,
    session: Session,
    domain: Domain,
    feed: FeedId,
    patienceMs: number,
    private readonly onChange: () => void,
  ) {
    this.wallet = session.wallet;
    this.socket = new Connection({ url, token: session.token, domain, tell: (update) => this.hear(update) });
    this.socket.watch(feed, null, patienceMs);
    this.timer = setInterval(() => this.show(this.matcher.take(performance.now())), MATCH_MS);
    window.addEventListener('online', this.retry);
  }

  phase = $derived.by((): Phase => {
    if (this.over) return 'ended';
    if (this.unpaid) return 'unpaid';
    if (this.connection === 'stopped' || this.connection === 'signed-out') return 'failed';
    if (this.connection !== 'ready') return this.device ? 'reconnecting' : 'connecting';
    // A paused feed is not offered, which a gateway tells by the pause alone.
    if (!this.device) return this.paused ? 'unpaid' : 'connecting';
    return this.paused ? 'paused' : this.offline ? 'offline' : 'live';
  });

  /** Whether objects come, or may. */
  sees = $derived(this.seen !== null || this.streams.includes(DETECTIONS));

  /** Closes the connection for good. */
  close(): void {
    this.socket.close();
    clearInterval(this.timer);
    window.removeEventListener('online', this.retry);
  }

  private readonly retry = (): void => this.socket.retryNow();

  private hear(update: Update): void {
    switch (update.type) {
      case 'state':
        this.connection = update.state;
        if (update.state === 'signed-out') this.signedOut = true;
        return;
      case 'message':
        return this.listen(update.message);
      case 'event':
        this.verified += 1;
        return this.take(update.event);
      case 'refused':
        this.refused += 1;
        this.lastRefusal = update.error instanceof SignatureError ? update.error.message : 'bytes that are no event';
        return;
      case 'dropped':
        this.dropped += 1;
    }
  }

  private listen(message: ServerMessage): void {
    switch (message.type) {
      case 'watching':
        this.device = message.device;
        this.streams = message.streams;
        this.expiresAt = message.expiresAt;
        // A device that is not there is told right behind; an end is known only while the feed's clock runs.
        this.offline = false;
        if (message.expiresAt !== null) this.paused = false;
        return this.onChange();
      case 'notice':
        this.expiresAt = message.expiresAt;
        if (message.state === 'paused') this.paused = true;
        if (message.state === 'resumed') this.paused = false;
        if (message.state === 'offline') this.offline = true;
        if (message.state === 'online') this.offline = false;
        return this.onChange();
      case 'gap':
        return this.note(gapWords(message.to - message.from + 1, message.stream, message.reason));
      case 'ended':
        this.over = endedWords(message.reason);
        this.signedOut = message.reason === 'revoked';
        this.socket.close();
        return this.onChange();
      case 'payment-required':
        this.unpaid = true;
        this.socket.close();
        return this.onChange();
      case 'error':
        return this.note(message.message);
      case 'welcome':
      case 'pong':
    }
  }

  private take(event: VerifiedEvent): void {
    const { boot, seq, timeUs, stream, payload, contentType } = event;
    // A fresh event is the best sign that the device is there.
    if (timeUs > (Date.now() - FRESH_MS) * 1_000) this.offline = false;
    if (stream === 'frames' && contentType === 'image/jpeg') {
      this.show(this.matcher.addFrame({ boot, seq, timeUs, jpeg: payload }, performance.now()));
    } else if (!this.detect(event)) {
      const text = isText(contentType) ? decode(payload).slice(0, MAX_TEXT) : `${payload.length} bytes`;
      this.readings = [{ stream, timeUs, contentType, text }, ...this.readings.filter((one) => one.stream !== stream)];
    }
  }

  /** False when the event is of another kind: any stream may hold JSON. */
  private detect({ boot, timeUs, stream, payload, contentType }: VerifiedEvent): boolean {
    if (contentType !== 'application/json' || !isDrawn(stream, this.streams, this.derived)) return false;
    let detections: Detections;
    try {
      detections = parseJson(decode(payload), detectionsShape, stream);
    } catch {
      if (stream === DETECTIONS) this.note(UNREADABLE);
      return stream === DETECTIONS;
    }
    if (stream !== DETECTIONS) this.derived = stream;
    this.notes = this.notes.filter((one) => one !== UNREADABLE);
    this.show(this.matcher.addSighting({ boot, timeUs, detections }, performance.now()));
    this.model = detections.model.name;
    this.seen = countSeen(detections.objects);
    const text = describeSeen(this.seen);
    const last = this.history[0];
    if (last && (last.text === text || Math.abs(timeUs - last.timeUs) < HISTORY_STEP_US)) return true;
    this.lines += 1;
    this.history = [{ key: this.lines, timeUs, text }, ...this.history].slice(0, HISTORY_LENGTH);
    if (Date.now() - this.announcedAt < ANNOUNCE_MS) return true;
    this.announcedAt = Date.now();
    this.announcement = `Seen now: ${text}`;
    return true;
  }

  private show(scene: Scene | null): void {
    if (!scene) return;
    if (scene.frame) this.picturedAt = Date.now();
    // A device sends its first detections before it knows that somebody wants pictures; the last picture stays meanwhile.
    else if (Date.now() - this.picturedAt < PICTURE_STAYS_MS) return;
    this.scene = scene;
  }

  private note(text: string): void {
    this.notes = [text, ...this.notes.filter((one) => one !== text)].slice(0, NOTES_LENGTH);
  }
}

function isText(contentType: string): boolean {
  return contentType.startsWith('text/') || contentType === 'application/json';
}

function decode(payload: Uint8Array): string {
  return new TextDecoder().decode(payload);
}
