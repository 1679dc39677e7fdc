//! Good and bad checks in a row, and what so many of them mean.
//!
//! It owns that count for one server, never when a check is made or what follows. Pure. Next:
//! [`schedule`](super::schedule) keeps one for each server.

/// What checks have found so far. A server that was never checked counts as up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    failing: bool,
    /// Checks in a row that say otherwise.
    against: u32,
}

impl Tally {
    /// Counts one more. Says whether the server is up now, when that is new: after `rise` good ones in a row, or `fall` bad ones.
    pub(super) fn count(&mut self, ok: bool, rise: u32, fall: u32) -> Option<bool> {
        if ok != self.failing {
            self.against = 0;
            return None;
        }
        self.against += 1;
        if self.against < if ok { rise } else { fall } {
            return None;
        }
        *self = Self { failing: !ok, against: 0 };
        Some(ok)
    }

    /// That of a server that failed them before.
    pub(super) fn of_failing() -> Self {
        Self { failing: true, against: 0 }
    }

    /// The server fails its checks.
    pub(super) fn is_failing(&self) -> bool {
        self.failing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `+` and `-` for checks; `U` and `D` after those that make the server up or down.
    fn told(checks: &str, rise: u32, fall: u32) -> String {
        let mut tally = Tally::default();
        let mut said = String::new();
        for check in checks.chars() {
            said.push(check);
            said.push_str(match tally.count(check == '+', rise, fall) {
                Some(true) => "U",
                Some(false) => "D",
                None => "",
            });
        }
        said
    }

    #[test]
    fn so_many_in_a_row_turn_a_server_and_one_between_begins_anew() {
        for (rise, fall, said) in [
            (2, 3, "--+---D--+-++U+--+---D"),
            (1, 1, "-D+U-D-+U+-D"),
            (3, 1, "+-D++-+++U-D"),
            (1, 2, "+--D+U--D"),
        ] {
            let checks: String = said.chars().filter(|c| "+-".contains(*c)).collect();
            assert_eq!(told(&checks, rise, fall), said);
        }
    }
}
