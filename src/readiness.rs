//! Whether this process should be sent traffic, and why not: what `/__erulb__/live` and `/__erulb__/ready` answer.
//!
//! It owns the only list of such reasons, one word of memory that both planes read, and the answer's form; never the judgement,
//! which is control's, nor a socket. Next: `control::run` judges, `data::door` answers on the data port.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// One reason a line: `Name "code" "what it means"`.
macro_rules! reasons {
    ($($name:ident $code:literal $meaning:literal;)+) => {
        /// Why a process should get no traffic.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Unready {
            $(#[doc = concat!("`", $code, "`: ", $meaning)] $name,)+
        }

        impl Unready {
            /// All of them.
            pub const ALL: [Unready; [$($code),+].len()] = [$(Unready::$name),+];

            /// One kebab-case word.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Unready::$name => $code,)+ }
            }

            /// What it says, for people.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Unready::$name => $meaning,)+ }
            }
        }
    };
}

reasons! {
    NoConfiguration "no-configuration" "Neither a store nor a state file nor the API has said yet what to serve.";
    Draining "draining" "The process was told to end.";
    WorkerBehind "worker-behind" "A worker has not taken a newer configuration for 5 seconds.";
    WorkerSilent "worker-silent" "A worker has not said for 5 seconds how it does: it hangs.";
}

const _: () = assert!(Unready::ALL.len() <= 8, "each has a bit");

/// The reasons that stand; its clones are one.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicU8>);

/// Whether a path is one of the two, and what it is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthAnswer {
    /// 200 or 503.
    pub status: u16,
    /// JSON and a newline.
    pub body: String,
}

impl Readiness {
    /// A process that does what it should but for this.
    #[must_use]
    pub fn not_yet() -> Self {
        let readiness = Self::default();
        readiness.set(Unready::NoConfiguration, true);
        readiness
    }

    /// This reason stands, or does not any more.
    pub fn set(&self, reason: Unready, stands: bool) {
        let bit = 1 << reason as u8;
        // Nobody concludes from one reason that another stands, so no order is needed.
        if stands {
            self.0.fetch_or(bit, Ordering::Relaxed);
        } else {
            self.0.fetch_and(!bit, Ordering::Relaxed);
        }
    }

    /// The reasons that stand.
    pub fn reasons(&self) -> impl Iterator<Item = Unready> {
        let bits = self.0.load(Ordering::Relaxed);
        Unready::ALL.into_iter().filter(move |reason| bits >> *reason as u8 & 1 == 1)
    }

    /// What a request for this path is answered with, if it is one of the two. That there is an answer is what `live` says.
    #[must_use]
    pub fn answer(&self, path: &[u8]) -> Option<HealthAnswer> {
        match path {
            b"/__erulb__/live" => Some(HealthAnswer { status: 200, body: "{\"live\":true}\n".to_owned() }),
            b"/__erulb__/ready" => Some(self.ready()),
            _ => None,
        }
    }

    fn ready(&self) -> HealthAnswer {
        let reasons: Vec<String> = self
            .reasons()
            .map(|reason| format!("{{\"code\":\"{}\",\"message\":\"{}\"}}", reason.word(), reason.meaning()))
            .collect();
        match reasons[..] {
            [] => HealthAnswer { status: 200, body: "{\"ready\":true}\n".to_owned() },
            _ => {
                let body = format!("{{\"ready\":false,\"reasons\":[{}]}}\n", reasons.join(","));
                HealthAnswer { status: 503, body }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_who_has_no_reason_not_to_be() {
        let readiness = Readiness::not_yet();
        let seen_by_another = readiness.clone();
        let ready = || seen_by_another.answer(b"/__erulb__/ready").unwrap();
        assert!(
            ready().status == 503
                && ready().body.starts_with("{\"ready\":false,\"reasons\":[{\"code\":\"no-configuration\",")
        );
        readiness.set(Unready::WorkerSilent, true);
        assert_eq!(
            seen_by_another.reasons().collect::<Vec<_>>(),
            [Unready::NoConfiguration, Unready::WorkerSilent]
        );
        Unready::ALL.iter().for_each(|reason| readiness.set(*reason, false));
        assert_eq!(ready(), HealthAnswer { status: 200, body: "{\"ready\":true}\n".to_owned() });
    }

    #[test]
    fn live_is_who_answers_and_other_paths_are_not_asked_here() {
        let readiness = Readiness::not_yet();
        assert_eq!(readiness.answer(b"/__erulb__/live").unwrap().status, 200);
        for path in [&b"/__erulb__/lives"[..], b"/__erulb__/", b"/live", b""] {
            assert_eq!(readiness.answer(path), None);
        }
        let plain = |text: &str| !text.bytes().any(|byte| byte.is_ascii_control() || b"\"\\".contains(&byte));
        assert!(
            Unready::ALL.iter().all(|reason| plain(reason.word()) && plain(reason.meaning())),
            "no escapes are needed"
        );
    }
}
