//! What `elb top` does: it asks once a second, draws, and listens to keys.
//!
//! It owns the keys and what is asked for. Questions are asked by a thread, so that a key is heard while an answer takes its time.
//! Next: [`table`](super::table) makes the lines, [`screen`](super::screen) shows them.

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::super::api;
use super::super::say::{complain, print};
use super::screen::{Input, Screen};
use super::table::{cut, head, table};
use crate::settings::{TopArgs, TopSort, TopView};

/// From one question to the next.
const PERIOD: Duration = Duration::from_secs(1);
/// How long a key is waited for before it is looked for an answer.
const LOOK: Duration = Duration::from_millis(100);
/// Rows that are asked for, which fill a large screen; without one, so many are printed.
const ROWS: usize = 200;
/// Columns without a screen.
const COLUMNS: usize = 160;
/// Characters of a text that is looked for.
const LONGEST: usize = 64;

const KEYS: &str = "d u s w or tab: view   r e n: sort by rate, errors, name   /: find   q: quit";

/// Shows. The exit code is 1 when the API did not answer `--once`, or there is no terminal.
#[must_use]
pub fn top(args: &TopArgs) -> ExitCode {
    let ended = if args.once { once(args) } else { live(args) };
    ended.unwrap_or_else(|why| {
        complain(why);
        ExitCode::FAILURE
    })
}

fn once(args: &TopArgs) -> Result<ExitCode, String> {
    let told = api::call(&args.api, &question(args), None)?;
    let mut lines = head(&told, &args.api);
    lines.push(String::new());
    lines.extend(table(&told, args.view, args.sort, COLUMNS, ROWS + 1));
    Ok(print(&(lines.join("\n") + "\n")))
}

fn question(TopArgs { sort, find, .. }: &TopArgs) -> String {
    let sort = match sort {
        TopSort::Rate => "rate",
        TopSort::Errors => "errors",
        TopSort::Name => "name",
    };
    let find = utf8_percent_encode(find, NON_ALPHANUMERIC);
    format!("stats?domains={find}&upstreams={find}&sort={sort}&limit={ROWS}")
}

fn live(args: &TopArgs) -> Result<ExitCode, String> {
    if !io::stdout().is_terminal() {
        return Err("standard output is no terminal; --once prints one table".to_owned());
    }
    let mut seen = Seen { args: args.clone(), told: Err("asking".to_owned()), is_typing: false };
    let (ask, answers) = asker(args).map_err(|error| format!("no thread: {error}"))?;
    let fault = |error: io::Error| format!("the terminal: {error}");
    let screen = Screen::take().map_err(fault)?;
    seen.draw(&screen).map_err(fault)?;
    loop {
        let input = screen.input(LOOK).map_err(fault)?;
        let answer = answers.try_recv();
        if input == Input::Nothing && answer == Err(TryRecvError::Empty) {
            continue;
        }
        if let Ok(told) = answer {
            seen.told = told;
        }
        if seen.heed(input) {
            return Ok(ExitCode::SUCCESS);
        }
        // A full channel has a question that is older by less than a second, and the next one is this.
        let _ = ask.try_send(seen.args.clone());
        seen.draw(&screen).map_err(fault)?;
    }
}

/// A thread that asks once a second what it was told last to ask for.
type Asker = (SyncSender<TopArgs>, Receiver<Result<Value, String>>);

fn asker(args: &TopArgs) -> io::Result<Asker> {
    let (ask, asked) = sync_channel::<TopArgs>(1);
    let (answer, answers) = sync_channel(1);
    let mut args = args.clone();
    let asking = move || {
        // It ends with the one that shows.
        while answer.send(api::call(&args.api, &question(&args), None)).is_ok() {
            let before = question(&args);
            let until = std::time::Instant::now() + PERIOD;
            loop {
                match asked.recv_timeout(until.saturating_duration_since(std::time::Instant::now())) {
                    Ok(wanted) => args = wanted,
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
                // Another question does not wait for its second.
                if question(&args) != before {
                    break;
                }
            }
        }
    };
    thread::Builder::new().name("asking".to_owned()).spawn(asking)?;
    Ok((ask, answers))
}

/// What is seen, and what was chosen for it.
struct Seen {
    args: TopArgs,
    told: Result<Value, String>,
    is_typing: bool,
}

impl Seen {
    /// Does what a key means. True for the last one.
    fn heed(&mut self, input: Input) -> bool {
        let TopArgs { view, sort, find, .. } = &mut self.args;
        match input {
            Input::End => return true,
            Input::Enter | Input::Escape if self.is_typing => self.is_typing = false,
            Input::Back if self.is_typing => drop(find.pop()),
            Input::Letter(letter) if self.is_typing && find.chars().count() < LONGEST => find.push(letter),
            Input::Letter(_) if self.is_typing => {}
            Input::Letter('q') | Input::Escape => return true,
            Input::Letter('/') => {
                find.clear();
                self.is_typing = true;
            }
            Input::Letter('d') => *view = TopView::Domains,
            Input::Letter('u') => *view = TopView::Upstreams,
            Input::Letter('s') => *view = TopView::Servers,
            Input::Letter('w') => *view = TopView::Workers,
            Input::Next => {
                *view = match view {
                    TopView::Domains => TopView::Upstreams,
                    TopView::Upstreams => TopView::Servers,
                    TopView::Servers => TopView::Workers,
                    TopView::Workers => TopView::Domains,
                }
            }
            Input::Letter('r') => *sort = TopSort::Rate,
            Input::Letter('e') => *sort = TopSort::Errors,
            Input::Letter('n') => *sort = TopSort::Name,
            _ => {}
        }
        false
    }

    fn draw(&self, screen: &Screen) -> io::Result<()> {
        let (columns, rows) = screen.size();
        let (lines, heading) = self.lines(columns, rows);
        screen.draw(&lines, heading)
    }

    /// As many lines as there is room for, and the number of the one that stands out.
    fn lines(&self, columns: usize, rows: usize) -> (Vec<String>, usize) {
        let TopArgs { view, sort, find, api, .. } = &self.args;
        let mut lines = match &self.told {
            Ok(told) => head(told, api),
            Err(why) => vec![format!("ELB at {api}"), why.clone()],
        };
        lines.push(match (self.is_typing, &**find) {
            (true, find) => format!("find: {find}_"),
            (false, "") => KEYS.to_owned(),
            (false, find) => format!("names with {find:?}   {KEYS}"),
        });
        let mut lines: Vec<String> = lines.iter().map(|line| cut(line, columns)).collect();
        let heading = lines.len();
        if let Ok(told) = &self.told {
            lines.extend(table(told, *view, *sort, columns, rows.saturating_sub(heading)));
        }
        lines.truncate(rows);
        (lines, heading)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen() -> Seen {
        let args = TopArgs {
            api: "here".to_owned(),
            once: false,
            view: TopView::Domains,
            sort: TopSort::Rate,
            find: String::new(),
        };
        Seen { args, told: Err("asking".to_owned()), is_typing: false }
    }

    #[test]
    fn keys_choose_what_is_asked_for() {
        let mut seen = seen();
        for (keys, view, sort) in [
            ("ue", TopView::Upstreams, TopSort::Errors),
            ("sn", TopView::Servers, TopSort::Name),
            ("dr", TopView::Domains, TopSort::Rate),
        ] {
            keys.chars().for_each(|key| assert!(!seen.heed(Input::Letter(key))));
            assert_eq!((seen.args.view, seen.args.sort), (view, sort));
        }
        "/quit&x".chars().for_each(|key| assert!(!seen.heed(Input::Letter(key)), "typed"));
        assert!(!seen.heed(Input::Back));
        assert!(!seen.heed(Input::Enter));
        assert_eq!(question(&seen.args), "stats?domains=quit%26&upstreams=quit%26&sort=rate&limit=200");
        assert!(seen.heed(Input::Letter('q')));
        assert!(seen.heed(Input::End));
    }

    #[test]
    fn what_is_shown_fits_the_screen() {
        for (columns, rows) in [(80, 24), (10, 3), (1, 1), (0, 0)] {
            let (lines, _) = seen().lines(columns, rows);
            assert!(
                lines.len() <= rows && lines.iter().all(|line| line.chars().count() <= columns.max(1)),
                "{lines:?}"
            );
        }
    }
}
