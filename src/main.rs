//! The command `elb`: reads what it is asked for, and hands it on.
//!
//! It owns the way into the process's arguments, variables and files, and nothing else. Next: [`crate::settings`] says
//! what they mean, [`crate::command`] does it.

use std::process::ExitCode;
use std::{env, fs, thread};

use elb::settings::{Invocation, Surroundings, parse};
use elb::{command, data};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let names: Vec<_> = env::vars_os().map(|(name, _)| name).collect();
    let around = Surroundings {
        variable: &|name| env::var_os(name),
        read: &|path| fs::read_to_string(path),
        names: &names,
        cores: thread::available_parallelism().map_or(1, usize::from),
        core_numbers: &data::available_cores(),
    };
    match parse(env::args_os(), &around) {
        Ok(Invocation::Run(settings)) => command::run(*settings),
        Ok(Invocation::Demo(args)) => command::demo(&args),
        Ok(Invocation::Check(args)) => command::check(&args),
        Ok(Invocation::Explain(args)) => command::explain(&args),
        Ok(Invocation::Graph(args)) => command::graph(&args),
        Ok(Invocation::Health(args)) => command::health(&args),
        Ok(Invocation::Fleet(args)) => command::fleet(&args),
        Ok(Invocation::Top(args)) => command::top(&args),
        Ok(Invocation::Ctl(args)) => command::ctl(&args),
        Ok(Invocation::Completions(args)) => command::completions(&args),
        Ok(Invocation::Man(args)) => command::man(&args),
        Ok(Invocation::Migrate(migration)) => command::migrate(&migration),
        Err(fault) => command::refuse(&fault),
    }
}
