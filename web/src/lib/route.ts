import type { FeedId } from '../client/types';

/** A place in the app. */
export type Route =
  | { readonly page: 'feeds' }
  | { readonly page: 'feed'; readonly feed: FeedId }
  | { readonly page: 'subscriptions' };

/** Reads a location's hash; anything unknown is the list of feeds. */
export function parseRoute(hash: string): Route {
  if (hash === '#/subscriptions') return { page: 'subscriptions' };
  const feed = /^#\/feeds\/(0x[0-9a-fA-F]{64})$/.exec(hash)?.[1];
  return feed === undefined ? { page: 'feeds' } : { page: 'feed', feed: feed.toLowerCase() as FeedId };
}

/** The hash of a place. */
export function hashOf(route: Route): string {
  return route.page === 'feed' ? `#/feeds/${route.feed}` : route.page === 'feeds' ? '#/' : '#/subscriptions';
}
