/// Pictures under way to the broker at a time. The system's buffer holds one more; each further one would only be old
/// when it arrives, and would keep the detections behind it waiting.
const WINDOW: usize = 1;

/// Pictures on their way: few at a time, and of those that wait only the newest.
///
/// It knows nothing of the network. Nobody acknowledges a picture; one that is written is done with.
#[derive(Debug)]
pub(crate) struct Pictures<T> {
    waiting: Option<T>,
    under_way: usize,
    dropped: u64,
}

impl<T> Pictures<T> {
    pub(crate) const fn new() -> Self {
        Self {
            waiting: None,
            under_way: 0,
            dropped: 0,
        }
    }

    /// Adds a picture; one that still waits makes room.
    pub(crate) fn push(&mut self, picture: T) {
        if self.waiting.replace(picture).is_some() {
            self.dropped += 1;
        }
    }

    /// The picture to hand to the connection, if it may take one more. [`Self::handed`] confirms that it did.
    pub(crate) const fn due(&self) -> Option<&T> {
        if self.under_way < WINDOW {
            self.waiting.as_ref()
        } else {
            None
        }
    }

    /// The connection took what [`Self::due`] offered.
    pub(crate) fn handed(&mut self) {
        if self.waiting.take().is_some() {
            self.under_way += 1;
        }
    }

    /// The connection wrote a picture.
    pub(crate) const fn written(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// The connection is gone, and what it had not written with it.
    pub(crate) fn clear(&mut self) {
        self.dropped += self.under_way as u64 + u64::from(self.waiting.take().is_some());
        self.under_way = 0;
    }

    /// Pictures that were not published so far.
    pub(crate) const fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_waits_while_one_is_under_way() {
        let mut pictures = Pictures::new();
        pictures.push(1);
        assert_eq!(pictures.due(), Some(&1));
        pictures.handed();
        (2..=4).for_each(|picture| pictures.push(picture));
        assert_eq!((pictures.due(), pictures.dropped()), (None, 2));
        pictures.written();
        assert_eq!(pictures.due(), Some(&4));
        pictures.handed();
        pictures.push(5);
        pictures.clear();
        assert_eq!((pictures.due(), pictures.dropped()), (None, 4));
        pictures.push(6);
        assert_eq!(pictures.due(), Some(&6), "a new connection begins anew");
    }
}
