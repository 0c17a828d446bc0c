use std::collections::VecDeque;

/// Messages that wait for their acknowledgement, oldest first, across any number of connections.
///
/// It knows nothing of the network. A connection takes what is due, says which packet it became, and reports
/// acknowledgements; a new connection begins again with everything that was not acknowledged.
#[derive(Debug)]
pub(crate) struct Outbox<T> {
    waiting: VecDeque<Waiting<T>>,
    capacity: usize,
    /// Most messages that may be under way at a time.
    window: usize,
    /// Messages that had to make room.
    lost: u64,
}

#[derive(Debug)]
struct Waiting<T> {
    message: T,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not given to this connection yet.
    Due,
    /// Given to the connection, its packet not written yet.
    Handed,
    /// Written as the packet of this number.
    Written(u16),
}

impl<T> Outbox<T> {
    pub(crate) fn new(capacity: usize, window: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            capacity,
            window,
            lost: 0,
        }
    }

    /// Adds a message; the oldest that is not under way makes room where there is none.
    pub(crate) fn push(&mut self, message: T) {
        if self.waiting.len() >= self.capacity {
            self.lost += 1;
            match self
                .waiting
                .iter()
                .position(|waiting| waiting.state == State::Due)
            {
                Some(oldest) => drop(self.waiting.remove(oldest)),
                None => return,
            }
        }
        self.waiting.push_back(Waiting {
            message,
            state: State::Due,
        });
    }

    /// The next message to hand to the connection, if it may take one more. [`Self::handed`] confirms that it did.
    pub(crate) fn due(&self) -> Option<&T> {
        let under_way = self
            .waiting
            .iter()
            .filter(|waiting| waiting.state != State::Due)
            .count();
        if under_way >= self.window {
            return None;
        }
        self.waiting
            .iter()
            .find(|waiting| waiting.state == State::Due)
            .map(|waiting| &waiting.message)
    }

    /// The connection took what [`Self::due`] offered.
    pub(crate) fn handed(&mut self) {
        if let Some(waiting) = self
            .waiting
            .iter_mut()
            .find(|waiting| waiting.state == State::Due)
        {
            waiting.state = State::Handed;
        }
    }

    /// The connection wrote the oldest message that it was handed, as this packet.
    pub(crate) fn written(&mut self, packet: u16) {
        let oldest = self
            .waiting
            .iter_mut()
            .find(|waiting| waiting.state == State::Handed);
        if let Some(waiting) = oldest {
            waiting.state = State::Written(packet);
        }
    }

    /// The packet was acknowledged: its message is done. False where no message waits for it.
    pub(crate) fn acknowledged(&mut self, packet: u16) -> bool {
        let position = self
            .waiting
            .iter()
            .position(|waiting| waiting.state == State::Written(packet));
        position.is_some_and(|position| self.waiting.remove(position).is_some())
    }

    /// The connection is gone: whatever was not acknowledged is due again, in the old order.
    pub(crate) fn rewind(&mut self) {
        for waiting in &mut self.waiting {
            waiting.state = State::Due;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Messages that had to make room so far.
    pub(crate) const fn lost(&self) -> u64 {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hand_all(outbox: &mut Outbox<u32>) -> Vec<u32> {
        let mut handed = Vec::new();
        while let Some(&message) = outbox.due() {
            handed.push(message);
            outbox.handed();
        }
        handed
    }

    #[test]
    fn what_is_not_acknowledged_comes_again_in_order() {
        let mut outbox = Outbox::new(10, 3);
        (1..=5).for_each(|message| outbox.push(message));
        assert_eq!(hand_all(&mut outbox), [1, 2, 3], "the window is full");
        (1..=3).for_each(|packet| outbox.written(packet));
        assert!(outbox.acknowledged(2));
        assert!(!outbox.acknowledged(2) && !outbox.acknowledged(9));
        assert_eq!(hand_all(&mut outbox), [4]);
        outbox.rewind();
        assert_eq!(hand_all(&mut outbox), [1, 3, 4]);
        // Packet numbers of the old connection mean nothing now.
        assert!(!outbox.acknowledged(1));
        (7..=9).for_each(|packet| outbox.written(packet));
        assert!((7..=9).all(|packet| outbox.acknowledged(packet)));
        assert_eq!(hand_all(&mut outbox), [5]);
        outbox.written(1);
        assert!(outbox.acknowledged(1) && outbox.is_empty());
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut outbox = Outbox::new(3, 1);
        (1..=3).for_each(|message| outbox.push(message));
        assert_eq!(hand_all(&mut outbox), [1]);
        (4..=5).for_each(|message| outbox.push(message));
        assert_eq!((outbox.len(), outbox.lost()), (3, 2));
        outbox.written(1);
        assert!(outbox.acknowledged(1), "what is under way stays");
        assert_eq!(hand_all(&mut outbox), [4]);
    }
}
