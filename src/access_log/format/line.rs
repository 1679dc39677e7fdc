//! One entry as one line, in the form that was asked for.
//!
//! It owns the choice of the form. Next: [`json`], [`combined`], [`eru`].

use std::time::Duration;

use super::date::Dates;
use super::{combined, eru, json};
use crate::access_log::entry::Entry;
use crate::settings::AccessLogFormat;

/// Makes lines, and remembers the date of the last one.
#[derive(Debug)]
pub struct Lines {
    format: AccessLogFormat,
    dates: Dates,
}

impl Lines {
    /// Lines in this form.
    #[must_use]
    pub fn new(format: AccessLogFormat) -> Self {
        Self { format, dates: Dates::default() }
    }

    /// Appends the line of an entry of a batch that `began` so long after 1970. It ends with a line end, and has none before.
    pub fn write(&mut self, entry: &Entry<'_>, began: Duration, out: &mut Vec<u8>) {
        let date = self.dates.at(began, entry.numbers.ended);
        match self.format {
            AccessLogFormat::Json => json::write(entry, &date, out),
            AccessLogFormat::Combined => combined::write(entry, &date, out),
            AccessLogFormat::Eru => eru::write(entry, &date, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::access_log::entry::{NEVER, Numbers, TEXTS, Text};

    fn written(format: AccessLogFormat, texts: [&[u8]; TEXTS]) -> Vec<u8> {
        let numbers = Numbers {
            ended: 1_500,
            received: 100,
            sent: 2_000,
            version: 7,
            total: 12_345,
            head: 45,
            connect: 300,
            server: NEVER,
            status: 200,
            tries: 2,
            is_old: false,
        };
        let mut out = Vec::new();
        let began = Duration::from_millis(1_700_000_000_250);
        Lines::new(format).write(&Entry { numbers, texts }, began, &mut out);
        out
    }

    fn usual<'a>(changed: &[(Text, &'a [u8])]) -> [&'a [u8]; TEXTS] {
        let mut texts: [&[u8]; TEXTS] = [
            b"GET",
            b"A.test:80",
            b"/x?y=1",
            b"curl/8",
            b"",
            b"192.0.2.9",
            b"",
            b"0af",
            b"a.test",
            b"r1\0r2",
            b"up",
            b"192.0.2.1",
            b"10.0.0.1:80",
            b"",
        ];
        changed.iter().for_each(|(text, value)| texts[*text as usize] = value);
        texts
    }

    #[test]
    fn a_line_of_each_form() {
        let text = |format| String::from_utf8(written(format, usual(&[]))).unwrap();
        assert_eq!(
            text(AccessLogFormat::Json),
            "{\"time\":\"2023-11-14T22:13:20.251Z\",\"id\":\"0af\",\"client\":\"192.0.2.1\",\"method\":\"GET\",\"host\":\"A.test:80\",\
             \"path\":\"/x?y=1\",\"domain\":\"a.test\",\"rules\":[\"r1\",\"r2\"],\"upstream\":\"up\",\"server\":\"10.0.0.1:80\",\
             \"tries\":2,\"status\":200,\"reason\":null,\"version\":7,\"bytes_in\":100,\"bytes_out\":2000,\
             \"total_ms\":12.345,\"head_ms\":0.045,\"connect_ms\":0.300,\"server_ms\":null,\
             \"user_agent\":\"curl/8\",\"referer\":null}\n"
        );
        assert_eq!(
            text(AccessLogFormat::Combined),
            "192.0.2.1 - - [14/Nov/2023:22:13:20 +0000] \"GET /x?y=1 HTTP/1.1\" 200 2000 \"-\" \"curl/8\"\n"
        );
        assert_eq!(
            text(AccessLogFormat::Eru),
            "a.test 192.0.2.1 [14/Nov/2023:22:13:20 +0000] \"GET /x?y=1 HTTP/1.1\" 200 2000 \"-\" \"curl/8\" 0.012 - \
             \"192.0.2.9\" \"/x\" \"y=1\" 10.0.0.1:80 200\n"
        );
    }

    #[test]
    fn nobody_forges_a_line_or_a_field() {
        let evil: &[u8] = b"a\r\nb\"c\\d\x1b[31me\xff\xc3\x28\x7f\xe2\x82\xac\0";
        for format in [AccessLogFormat::Json, AccessLogFormat::Combined, AccessLogFormat::Eru] {
            let line = written(format, [evil; TEXTS]);
            let text = line.strip_suffix(b"\n").unwrap();
            assert!(!text.iter().any(u8::is_ascii_control), "{}", String::from_utf8_lossy(text));
        }
        let line = written(AccessLogFormat::Json, usual(&[(Text::UserAgent, evil)]));
        let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
        let shown = "a\r\nb\"c\\d\u{1b}[31me\u{fffd}\u{fffd}(\u{7f}\u{20ac}\0";
        assert_eq!(value["user_agent"], shown);
        let line =
            String::from_utf8(written(AccessLogFormat::Combined, usual(&[(Text::UserAgent, evil)]))).unwrap();
        assert!(
            line.ends_with("\"a\\x0D\\x0Ab\\x22c\\x5Cd\\x1B[31me\\xFF\\xC3(\\x7F\\xE2\\x82\\xAC\\x00\"\n"),
            "{line}"
        );
    }

    proptest! {
        #[test]
        fn every_line_of_json_can_be_read(text in prop::collection::vec(any::<u8>(), 0..60)) {
            let line = written(AccessLogFormat::Json, [&text; TEXTS]);
            let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
            let shown = String::from_utf8_lossy(&text).into_owned();
            prop_assert_eq!(value["client"].as_str().unwrap_or(""), shown);
            prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        }
    }
}
