//! What the shell is to do next, in order.
//!
//! It owns the queue, never what an order means. Transitions put orders in, [`super::Exchange::step`] takes them out one by
//! one. Next: [`super::machine`].

use super::phase::Step;

/// The orders that wait. Two are the most: a connection is dropped before something else happens, and a tunnel may be
/// shut both ways at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Orders {
    first: Step,
    second: Step,
}

impl Orders {
    /// None.
    pub(super) const NONE: Self = Self { first: Step::Wait, second: Step::Wait };

    /// Nothing is to be done.
    #[inline]
    pub(super) fn is_empty(self) -> bool {
        self.first == Step::Wait
    }

    /// This is to be done after what waits already.
    #[inline]
    pub(super) fn push(&mut self, order: Step) {
        debug_assert!(self.second == Step::Wait, "{order:?} after {self:?}");
        if self.is_empty() { self.first = order } else { self.second = order }
    }

    /// This is the last that is done. Of what waits only the drop of a server connection is done before it, as it says
    /// something about the server; the rest would be undone.
    #[inline]
    pub(super) fn end(&mut self, order: Step) {
        if !matches!(self.first, Step::Drop { .. }) {
            self.first = Step::Wait;
        }
        self.second = Step::Wait;
        self.push(order);
    }

    /// The next one, which is done with that; [`Step::Wait`] when there is none.
    #[inline]
    pub(super) fn take(&mut self) -> Step {
        let order = self.first;
        (self.first, self.second) = (self.second, Step::Wait);
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::phase::Sign;
    use crate::reason::Reason;

    const DROP: Step = Step::Drop { sign: Sign::Fault(Reason::ConnectFailed) };
    const CLOSE: Step = Step::Close { reset: false, sign: Sign::Nothing };

    fn taken(mut orders: Orders) -> Vec<Step> {
        std::iter::from_fn(|| Some(orders.take()).filter(|order| *order != Step::Wait)).collect()
    }

    #[test]
    fn orders_are_taken_in_order_and_an_end_undoes_all_but_a_drop() {
        let mut orders = Orders::NONE;
        assert!(orders.is_empty() && taken(orders).is_empty());
        orders.push(DROP);
        orders.push(Step::Connect { same: true });
        assert_eq!(taken(orders), [DROP, Step::Connect { same: true }]);
        orders.end(CLOSE);
        assert_eq!(taken(orders), [DROP, CLOSE]);
        let mut orders = Orders::NONE;
        orders.push(Step::Route);
        orders.end(CLOSE);
        assert_eq!(taken(orders), [CLOSE]);
    }
}
