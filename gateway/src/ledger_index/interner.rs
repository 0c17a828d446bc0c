use std::hash::{BuildHasher, Hash, RandomState};

use hashbrown::HashTable;

/// Gives each value a number of four bytes, for good: an id of 20 or 32 bytes is kept once, however often it is named.
#[derive(Debug)]
pub(super) struct Interner<T> {
    values: Vec<T>,
    /// Numbers by the hash of their values, which are not kept a second time.
    numbers: HashTable<u32>,
    hasher: RandomState,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            numbers: HashTable::new(),
            hasher: RandomState::new(),
        }
    }
}

impl<T: Copy + Eq + Hash> Interner<T> {
    /// The number of a value that has one.
    pub(super) fn number_of(&self, value: &T) -> Option<u32> {
        let hash = self.hasher.hash_one(value);
        let same = |number: &u32| self.values[*number as usize] == *value;
        self.numbers.find(hash, same).copied()
    }

    /// The number of a value, which gets one if it has none.
    pub(super) fn number(&mut self, value: T) -> u32 {
        if let Some(number) = self.number_of(&value) {
            return number;
        }
        let number = u32::try_from(self.values.len()).expect("2^32 ids do not fit into memory");
        if self.values.len() == self.values.capacity() {
            // Doubling would leave half of it empty.
            self.values.reserve_exact((self.values.len() / 4).max(16));
        }
        self.values.push(value);
        let (values, hasher) = (&self.values, &self.hasher);
        let rehash = |number: &u32| hasher.hash_one(values[*number as usize]);
        self.numbers
            .insert_unique(hasher.hash_one(value), number, rehash);
        number
    }

    /// The value of a number that was given.
    pub(super) fn value(&self, number: u32) -> T {
        self.values[number as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_keeps_its_number() {
        let mut interner = Interner::default();
        assert_eq!(interner.number_of(&7), None);
        for value in (0..1_000_u64).chain(0..1_000) {
            assert_eq!(u64::from(interner.number(value * 3)), value);
        }
        for value in 0..1_000_u64 {
            let number = interner.number_of(&(value * 3)).unwrap();
            assert_eq!(interner.value(number), value * 3);
            assert_eq!(interner.number_of(&(value * 3 + 1)), None);
        }
    }

    #[test]
    fn little_memory_is_kept_free_and_the_values_are_seldom_moved() {
        let mut interner = Interner::default();
        let (mut moves, mut capacity) = (0, 0);
        for value in 0..10_000_u32 {
            interner.number(value);
            let (now, len) = (interner.values.capacity(), interner.values.len());
            assert!(now - len <= (len / 4).max(16), "{now} places for {len}");
            moves += usize::from(now != capacity);
            capacity = now;
        }
        assert!(moves < 50, "moved {moves} times");
    }
}
