//! What is known of one request that is over, and its form in a batch: numbers of fixed size, then texts.
//!
//! It owns that form and how long each text may be. Next: [`batch`](super::batch) carries entries,
//! [`format`](super::format) makes lines of them.

/// The texts of an entry, in the order in which they are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    /// The method.
    Method,
    /// The host as received.
    Host,
    /// The target as received, path and query.
    Target,
    /// `User-Agent`.
    UserAgent,
    /// `Referer`.
    Referer,
    /// `X-Forwarded-For`.
    ForwardedFor,
    /// `traceparent` (W3C Trace Context).
    TraceParent,
    /// The request id.
    Id,
    /// The name of its domain.
    Domain,
    /// Names of the rules that were asked, with a byte 0 between two.
    Rules,
    /// The name of its upstream.
    Upstream,
    /// The client's address.
    Client,
    /// The server that got it last.
    Server,
    /// Why ELB refused, answered or cut it.
    Reason,
}

/// How many there are.
pub const TEXTS: usize = Text::Reason as usize + 1;

/// Longest text of each kind in bytes; what is longer is cut. All of them together bound an entry.
const LONGEST: [usize; TEXTS] = [32, 255, 2048, 512, 1024, 512, 64, 128, 255, 1024, 255, 45, 255, 32];

/// No such time: there was no connection to a server, or no answer of one.
pub const NEVER: u32 = u32::MAX;

/// What is counted of a request. Times are in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Numbers {
    /// It was over so long after the beginning of its batch.
    pub ended: u64,
    /// Bytes that came from the client.
    pub received: u64,
    /// Bytes that it took.
    pub sent: u64,
    /// The version of the configuration that it was routed by; 0 if it was not.
    pub version: u64,
    /// From its first byte to its end.
    pub total: u32,
    /// From its first byte until its head was whole and routed.
    pub head: u32,
    /// From then to the connection to its last server: tries that failed are in it.
    pub connect: u32,
    /// From there to the head of the answer.
    pub server: u32,
    /// The status that the client got.
    pub status: u16,
    /// Servers tried.
    pub tries: u8,
    /// It was one of HTTP/1.0.
    pub is_old: bool,
}

/// One request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// What is counted.
    pub numbers: Numbers,
    /// By [`Text`].
    pub texts: [&'a [u8]; TEXTS],
}

/// Bytes of the numbers, of the length of the whole before them, and of the lengths of the texts behind them.
const HEAD: usize = 4 + 4 * 8 + 4 * 4 + 2 + 1 + 1 + 2 * TEXTS;

/// Longest entry in bytes.
pub const LONGEST_ENTRY: usize = {
    let (mut sum, mut at) = (HEAD, 0);
    while at < TEXTS {
        sum += LONGEST[at];
        at += 1;
    }
    sum
};

/// What of a text is kept.
#[inline]
#[must_use]
pub fn cut(text: Text, value: &[u8]) -> &[u8] {
    let longest = LONGEST.get(text as usize).copied().unwrap_or_default();
    value.get(..longest).unwrap_or(value)
}

/// Writes numbers one behind the other.
struct Put<'a>(&'a mut [u8]);

impl Put<'_> {
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        if let Some((here, rest)) = std::mem::take(&mut self.0).split_at_mut_checked(N) {
            here.copy_from_slice(&bytes);
            self.0 = rest;
        }
    }
}

/// Takes numbers one behind the other.
struct Take<'a>(&'a [u8]);

impl Take<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (here, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*here)
    }
}

impl<'a> Entry<'a> {
    /// The text of that kind; empty when there is none.
    #[must_use]
    pub fn text(&self, text: Text) -> &'a [u8] {
        self.texts.get(text as usize).copied().unwrap_or_default()
    }

    /// Appends it, each text cut to its longest.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let Numbers { ended, received, sent, version, total, head, connect, server, status, tries, is_old } =
            self.numbers;
        let mut fixed = [0; HEAD];
        let mut length = HEAD;
        let (numbers, mut lengths) = fixed.split_at_mut(HEAD - 2 * TEXTS);
        for (value, longest) in self.texts.iter().zip(LONGEST) {
            let kept = value.len().min(longest);
            length += kept;
            if let Some((here, rest)) = std::mem::take(&mut lengths).split_first_chunk_mut() {
                *here = u16::to_le_bytes(kept as u16);
                lengths = rest;
            }
        }
        let mut put = Put(numbers);
        put.put((length as u32).to_le_bytes());
        [ended, received, sent, version].into_iter().for_each(|number| put.put(number.to_le_bytes()));
        [total, head, connect, server].into_iter().for_each(|number| put.put(number.to_le_bytes()));
        put.put(status.to_le_bytes());
        put.put([tries]);
        put.put([u8::from(is_old)]);
        out.extend_from_slice(&fixed);
        for (value, longest) in self.texts.iter().zip(LONGEST) {
            out.extend_from_slice(value.get(..longest).unwrap_or(value));
        }
    }

    /// The entry that `bytes` begin with, and what follows it.
    #[must_use]
    pub fn decode(bytes: &'a [u8]) -> Option<(Entry<'a>, &'a [u8])> {
        let mut take = Take(bytes);
        let length = u32::from_le_bytes(take.take()?) as usize;
        let (own, rest) = bytes.split_at_checked(length)?;
        let mut long = || take.take().map(u64::from_le_bytes);
        let [ended, received, sent, version] = [long()?, long()?, long()?, long()?];
        let mut short = || take.take().map(u32::from_le_bytes);
        let [total, head, connect, server] = [short()?, short()?, short()?, short()?];
        let status = u16::from_le_bytes(take.take()?);
        let [tries, is_old] = take.take()?;
        let numbers = Numbers {
            ended,
            received,
            sent,
            version,
            total,
            head,
            connect,
            server,
            status,
            tries,
            is_old: is_old != 0,
        };
        let (mut texts, mut left) = ([&[][..]; TEXTS], own.get(HEAD..)?);
        for text in &mut texts {
            let length = usize::from(u16::from_le_bytes(take.take()?));
            (*text, left) = left.split_at_checked(length)?;
        }
        Some((Entry { numbers, texts }, rest))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_entry_is_what_was_written(
            texts in prop::array::uniform14(prop::collection::vec(any::<u8>(), 0..40)),
            long in prop::array::uniform4(any::<u64>()),
            short in prop::array::uniform4(any::<u32>()),
            status in any::<u16>(),
        ) {
            let [ended, received, sent, version] = long;
            let [total, head, connect, server] = short;
            let numbers = Numbers { ended, received, sent, version, total, head, connect, server, status, tries: 3, is_old: true };
            let mut whole = texts.each_ref().map(Vec::as_slice);
            let entry = Entry { numbers, texts: whole };
            let mut out = Vec::new();
            entry.encode(&mut out);
            entry.encode(&mut out);
            whole[Text::Method as usize] = cut(Text::Method, whole[Text::Method as usize]);
            whole[Text::Reason as usize] = cut(Text::Reason, whole[Text::Reason as usize]);
            let expected = Entry { numbers, texts: whole };
            let (first, rest) = Entry::decode(&out).unwrap();
            prop_assert_eq!(first, expected);
            let (second, rest) = Entry::decode(rest).unwrap();
            prop_assert_eq!(second, expected);
            prop_assert!(rest.is_empty() && Entry::decode(rest).is_none());
        }
    }

    #[test]
    fn an_entry_has_a_longest() {
        let long = [b'x'; 9000];
        let mut out = Vec::new();
        Entry { numbers: Numbers::default(), texts: [&long; TEXTS] }.encode(&mut out);
        assert_eq!(out.len(), LONGEST_ENTRY);
        let (entry, rest) = Entry::decode(&out).unwrap();
        assert!(rest.is_empty());
        assert_eq!((entry.text(Text::Target).len(), entry.text(Text::Client).len()), (2048, 45));
        assert!(Entry::decode(&out[..100]).is_none());
    }
}
