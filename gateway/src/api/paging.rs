//! Long lists, a page at a time.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::HttpError;

/// Entries of a page when nobody says how many.
const USUAL: usize = 100;
/// Most entries of a page: about 500 kB of the longest ones.
const MOST: usize = 500;

/// Which page of a list is wanted.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// Most entries of the page; 100 when absent.
    #[param(minimum = 1, maximum = 500)]
    pub(super) limit: Option<usize>,
    /// The `next` of the page before; from the beginning when absent.
    pub(super) after: Option<String>,
}

/// The page that a query wants of a list in the order of its keys.
#[derive(Debug)]
pub(super) struct Wanted<K> {
    /// Most entries of the page.
    pub(super) limit: usize,
    /// The key of the last entry of the page before.
    pub(super) after: Option<K>,
}

impl PageQuery {
    /// Reads limit and cursor.
    pub(super) fn wanted<K: DeserializeOwned>(&self) -> Result<Wanted<K>, HttpError> {
        let limit = self.limit.unwrap_or(USUAL);
        if !(1..=MOST).contains(&limit) {
            let detail = format!("limit must be 1 to {MOST}");
            return Err(HttpError::bad_request("query-malformed", detail));
        }
        let after = self.after.as_deref().map(|cursor| {
            let detail = "after must be the next of a page before";
            read(cursor).ok_or_else(|| HttpError::bad_request("cursor-malformed", detail))
        });
        Ok(Wanted {
            limit,
            after: after.transpose()?,
        })
    }
}

impl<K: Ord + Serialize> Wanted<K> {
    /// The page out of `items`, and the cursor of the one after it. A page begins after the last entry of the one
    /// before, wherever that would be now: what comes and goes meanwhile moves no other entry to another page.
    ///
    /// Of a list that is in order already the first after [`Self::after`] will do: as many as the page holds, and one
    /// more, which tells that there is another page.
    pub(super) fn page<T>(&self, items: Vec<T>, key: impl Fn(&T) -> K) -> (Vec<T>, Option<String>) {
        let keyed = items.into_iter().map(|item| (key(&item), item));
        let is_after = |key: &K| self.after.as_ref().is_none_or(|after| key > after);
        let mut page: Vec<(K, T)> = keyed.filter(|(key, _)| is_after(key)).collect();
        let by_key = |(one, _): &(K, T), (other, _): &(K, T)| one.cmp(other);
        let more = page.len() > self.limit;
        if more {
            // What is on later pages need not be in order.
            page.select_nth_unstable_by(self.limit, by_key);
            page.truncate(self.limit);
        }
        page.sort_unstable_by(by_key);
        let next = page.last().filter(|_| more).map(|(key, _)| write(key));
        (page.into_iter().map(|(_, item)| item).collect(), next)
    }
}

/// As [`Wanted::page`], of a list that is at hand before anybody has looked at the query.
pub(super) fn page<T, K>(
    items: Vec<T>,
    query: &PageQuery,
    key: impl Fn(&T) -> K,
) -> Result<(Vec<T>, Option<String>), HttpError>
where
    K: Ord + Serialize + DeserializeOwned,
{
    Ok(query.wanted()?.page(items, key))
}

/// Cursors are for nobody to read, so that what is in them may change.
fn write(key: &impl Serialize) -> String {
    // Keys are ids, numbers and texts, which always have a JSON form.
    hex::encode(serde_json::to_vec(key).unwrap_or_default())
}

fn read<K: DeserializeOwned>(cursor: &str) -> Option<K> {
    serde_json::from_slice(&hex::decode(cursor).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn query(limit: Option<usize>, after: Option<String>) -> PageQuery {
        PageQuery { limit, after }
    }

    #[test]
    fn pages_hold_everything_once() {
        for (count, limit) in [(0, 3), (1, 3), (3, 3), (4, 3), (10, 1), (500, 500)] {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let items: Vec<u32> = (0..count).rev().collect();
                let wanted = query(Some(limit), after);
                let (items, next) = page(items, &wanted, |item| *item).unwrap();
                assert!(items.len() <= limit);
                seen.extend(items);
                after = next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(seen, (0..count).collect::<Vec<_>>(), "{count} by {limit}");
        }
    }

    #[test]
    fn the_key_of_an_entry_is_made_once() {
        let made = Cell::new(0);
        let key = |item: &u32| {
            made.set(made.get() + 1);
            *item
        };
        let (_, next) = page(vec![4, 2, 1, 3], &query(Some(2), None), key).unwrap();
        assert_eq!(made.take(), 4);
        let (rest, _) = page(vec![4, 2, 1, 3], &query(Some(2), next), key).unwrap();
        assert_eq!((rest, made.take()), (vec![3, 4], 4));
    }

    #[test]
    fn what_goes_meanwhile_moves_nothing() {
        let (first, next) = page(vec![1, 2, 3, 4], &query(Some(2), None), |item| *item).unwrap();
        assert_eq!(first, [1, 2]);
        let (second, next) = page(vec![3, 4], &query(Some(2), next), |item| *item).unwrap();
        assert_eq!((second, next), (vec![3, 4], None));
    }

    #[test]
    fn strange_pages_are_refused() {
        for bad in [
            query(Some(0), None),
            query(Some(MOST + 1), None),
            query(None, Some("xyz".into())),
            query(None, Some(hex::encode("\"text\""))),
            query(None, Some(String::new())),
        ] {
            assert!(page(vec![1], &bad, |item| *item).is_err(), "{bad:?}");
        }
    }
}
