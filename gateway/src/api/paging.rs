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

/// The page of `items` that is wanted, and the cursor of the one after it. A page begins after the last entry of the one
/// before, wherever that would be now: what comes and goes meanwhile moves no other entry to another page.
pub(super) fn page<T, K>(
    mut items: Vec<T>,
    query: &PageQuery,
    key: impl Fn(&T) -> K,
) -> Result<(Vec<T>, Option<String>), HttpError>
where
    K: Ord + Serialize + DeserializeOwned,
{
    let limit = query.limit.unwrap_or(USUAL);
    if !(1..=MOST).contains(&limit) {
        let detail = format!("limit must be 1 to {MOST}");
        return Err(HttpError::bad_request("query-malformed", detail));
    }
    items.sort_by_cached_key(&key);
    if let Some(after) = &query.after {
        let after: K = read(after).ok_or_else(|| {
            HttpError::bad_request(
                "cursor-malformed",
                "after must be the next of a page before",
            )
        })?;
        items.retain(|item| key(item) > after);
    }
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|last| write(&key(last)));
    Ok((items, next))
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
