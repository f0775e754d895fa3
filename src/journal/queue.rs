//! A first-in, first-out queue from which a waiting item can be withdrawn.

use std::collections::VecDeque;

/// Identifies an item for as long as it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

/// A queue. Its length is bounded by its users: each item holds a permit, or is one of a fixed number.
pub(super) struct Queue<T> {
    /// In the order of their tickets.
    items: VecDeque<(Ticket, T)>,
    next: u64,
}

impl<T> Queue<T> {
    pub(super) fn push(&mut self, item: T) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        self.items.push_back((ticket, item));
        ticket
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        self.pop_first(|_| true)
    }

    /// Removes the first item of which this is true.
    pub(super) fn pop_first(&mut self, wanted: impl Fn(&T) -> bool) -> Option<T> {
        let position = self.items.iter().position(|(_, item)| wanted(item))?;
        self.items.remove(position).map(|(_, item)| item)
    }

    /// Removes an item, wherever it waits. `None` if it has been popped.
    pub(super) fn withdraw(&mut self, ticket: Ticket) -> Option<T> {
        let position = self.position(ticket)?;
        self.items.remove(position).map(|(_, item)| item)
    }

    /// Whether an item still waits.
    pub(super) fn contains(&self, ticket: Ticket) -> bool {
        self.position(ticket).is_some()
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    fn position(&self, ticket: Ticket) -> Option<usize> {
        self.items
            .binary_search_by_key(&ticket, |(ticket, _)| *ticket)
            .ok()
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            items: VecDeque::new(),
            next: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_item_leaves_once_and_in_order_unless_withdrawn(steps in proptest::collection::vec((0usize..3, 0usize..30), 0..80)) {
            let mut queue = Queue::default();
            let mut tickets = Vec::new();
            let mut waiting = VecDeque::new();
            for (step, number) in steps {
                match step {
                    0 => {
                        waiting.push_back(tickets.len());
                        tickets.push(queue.push(tickets.len()));
                    }
                    1 => prop_assert_eq!(queue.pop(), waiting.pop_front()),
                    _ => {
                        let Some(ticket) = tickets.get(number) else { continue };
                        let expected = waiting.iter().position(|item| *item == number);
                        prop_assert_eq!(queue.contains(*ticket), expected.is_some());
                        let expected = expected.and_then(|position| waiting.remove(position));
                        prop_assert_eq!(queue.withdraw(*ticket), expected);
                    }
                }
                prop_assert_eq!((queue.len(), queue.is_empty()), (waiting.len(), waiting.is_empty()));
            }
        }
    }
}
