//! The terminal while it is ELB's: every key as it is pressed, and a screen of its own that leaves what was there.
//!
//! It owns that the terminal is given back as it was, however `elb top` ends. Next: [`show`](super::show) draws on it.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers, poll, read};
use crossterm::style::{Attribute, Print, SetAttribute};
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode, size,
};
use crossterm::{execute, queue};
use tokio::signal::unix::{SignalKind, signal};

/// The terminal; it is as it was when this is dropped.
pub(super) struct Screen {
    is_told_to_end: Arc<AtomicBool>,
}

/// What somebody at the terminal did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    Letter(char),
    Enter,
    Escape,
    Back,
    Next,
    /// The screen has another size.
    Resized,
    /// Ctrl-C, or a signal.
    End,
    /// Nothing in so long.
    Nothing,
}

impl Screen {
    /// Takes the terminal.
    pub(super) fn take() -> io::Result<Self> {
        let screen = Self { is_told_to_end: told_to_end()? };
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen, Hide)?;
        Ok(screen)
    }

    /// How many columns and lines there are.
    pub(super) fn size(&self) -> (usize, usize) {
        let (columns, lines) = size().unwrap_or((80, 24));
        (usize::from(columns), usize::from(lines))
    }

    /// Shows these lines and nothing else; the one of that number stands out.
    pub(super) fn draw(&self, lines: &[String], heading: usize) -> io::Result<()> {
        let mut out = io::stdout().lock();
        for (number, line) in (0_u16..).zip(lines) {
            queue!(out, MoveTo(0, number))?;
            if usize::from(number) == heading {
                queue!(out, SetAttribute(Attribute::Reverse), Print(line), SetAttribute(Attribute::Reset))?;
            } else {
                queue!(out, Print(line))?;
            }
            queue!(out, Clear(ClearType::UntilNewLine))?;
        }
        queue!(
            out,
            MoveTo(0, u16::try_from(lines.len()).unwrap_or(u16::MAX)),
            Clear(ClearType::FromCursorDown)
        )?;
        out.flush()
    }

    /// What is done next, within so long.
    pub(super) fn input(&self, within: Duration) -> io::Result<Input> {
        if self.is_told_to_end.load(Ordering::Relaxed) {
            return Ok(Input::End);
        }
        if !poll(within)? {
            return Ok(Input::Nothing);
        }
        Ok(match read()? {
            Event::Key(key) if key.kind == KeyEventKind::Release => Input::Nothing,
            Event::Key(key) => match key.code {
                KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Input::End,
                KeyCode::Char(letter) => Input::Letter(letter),
                KeyCode::Enter => Input::Enter,
                KeyCode::Esc => Input::Escape,
                KeyCode::Backspace => Input::Back,
                KeyCode::Tab => Input::Next,
                _ => Input::Nothing,
            },
            Event::Resize(..) => Input::Resized,
            _ => Input::Nothing,
        })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        let _ = execute!(io::stdout(), Show, LeaveAlternateScreen);
        let _ = disable_raw_mode();
    }
}

/// A signal that would end the process must not leave a terminal behind in which nothing that is typed is seen.
fn told_to_end() -> io::Result<Arc<AtomicBool>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let mut signals = {
        let _inside = runtime.enter();
        [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt()].map(signal)
    };
    let is_told = Arc::new(AtomicBool::new(false));
    let own = Arc::clone(&is_told);
    let wait = move || {
        runtime.block_on(async {
            let [Ok(terminate), Ok(hangup), Ok(interrupt)] = &mut signals else { return };
            tokio::select! {
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
                _ = interrupt.recv() => {}
            }
            own.store(true, Ordering::Relaxed);
        });
    };
    thread::Builder::new().name("signals".to_owned()).spawn(wait)?;
    Ok(is_told)
}
