//! `elb ctl`: takes the command apart, and prints what came of it.
//!
//! It owns the exit code: 0 when it was done, 1 when it was refused or could not be done, 2 when nobody could be asked. Next:
//! [`item`](super::item) is one to begin with.

use std::process::ExitCode;

use super::certificate::certificate;
use super::change::{Api, Outcome, Trouble};
use super::item::{Kind, item};
use super::server::server;
use super::shadow::shadow;
use super::sights;
use super::whole;
use crate::command::api::Failed;
use crate::command::fleet::fleet;
use crate::command::say::{complain, note, print};
use crate::settings::{Ctl, CtlArgs, FleetCommandArgs};

/// The exit code when nobody could be asked, as for a usage that is none.
const UNREACHED: u8 = 2;

/// Carries the command out.
#[must_use]
pub fn ctl(args: &CtlArgs) -> ExitCode {
    let api = Api { address: &args.api, json: args.json };
    let made = match &args.what {
        Ctl::Domain(verb) => item(api, Kind::Domain, verb),
        Ctl::Upstream(verb) => item(api, Kind::Upstream, verb),
        Ctl::Server(verb) => server(api, verb),
        Ctl::Certificate(verb) => certificate(api, verb),
        Ctl::Config(verb) => whole::config(api, verb),
        Ctl::Dump => sights::dump(api),
        Ctl::Status => sights::status(api),
        Ctl::Servers { upstream } => sights::servers(api, upstream.as_deref()),
        Ctl::History { version } => whole::history(api, version.as_deref()),
        Ctl::Rollback { to, how } => whole::rollback(api, to, how),
        Ctl::Rejected => sights::rejected(api),
        Ctl::Resync { confirm } => sights::resync(api, *confirm),
        Ctl::Call { method, endpoint, file } => sights::call(api, method, endpoint, file.as_deref()),
        Ctl::Shadow(what) => shadow(api, what),
        Ctl::Fleet { wait, timeout } => {
            let (api, wait, json) = (args.api.clone(), wait.clone(), args.json);
            return fleet(&FleetCommandArgs { api, wait, revision: None, timeout: *timeout, json });
        }
    };
    match made {
        Ok(Outcome { text, notes, is_no }) => {
            notes.iter().for_each(note);
            let printed = print(&text);
            if is_no { ExitCode::FAILURE } else { printed }
        }
        Err(Trouble::Api(Failed::Unreached(why))) => {
            complain(why);
            ExitCode::from(UNREACHED)
        }
        Err(Trouble::Api(Failed::Refused(_, told, why))) => {
            if args.json {
                // The answer is what was asked for, whatever it says.
                let _ = print(&format!("{told}\n"));
            }
            complain(why);
            ExitCode::FAILURE
        }
        Err(Trouble::Own(why)) => {
            complain(why);
            ExitCode::FAILURE
        }
    }
}
